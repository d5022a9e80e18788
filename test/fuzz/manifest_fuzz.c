/*-------------------------------------------------------------------------
 *
 * manifest_fuzz.c
 *	  Fuzz target for backup manifests: any text, and manifests made of bytes.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "manifest_property.h"

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	int			faults;
	bool		taken;

	if (size < 3)
		return 0;

	/* what does not begin as JSON makes a manifest */
	if (data[0] == '{' || data[0] < 64)
	{
		size_t		skip = data[0] == '{' ? 0 : 3;

		faults = check_text((const char *) data + skip, size - skip, 64 + data[1] % 64, 1 + data[2] % 64, &taken);
	}
	else
	{
		Bytes		b = {data + 1, size - 1};

		faults = check_made(&b);
	}
	if (faults != 0)
		abort();
	return 0;
}

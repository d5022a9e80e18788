/*-------------------------------------------------------------------------
 *
 * rrule_fuzz.c
 *	  Fuzz target for recurrence rules: any text, and rules made of bytes.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "property.h"

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int			faults;

	if (size < 2)
		return 0;

	/* a first byte of 'F' or 'f' is a rule as text, anything else makes one */
	if (data[0] == 'F' || data[0] == 'f' || data[0] < 16)
	{
		size_t		skip = data[0] < 16 ? 1 : 0;
		char	   *copy = malloc(size - skip + 1);
		Bytes		b = {data, size};

		memcpy(copy, data + skip, size - skip);
		copy[size - skip] = '\0';

		faults = check_rule(copy, size - skip, make_start(&b), 800);
		free(copy);
	}
	else
		faults = check_bytes(data + 1, size - 1, 1500);
	if (faults != 0)
	{
		fflush(stdout);
		abort();
	}
	return 0;
}

/*-------------------------------------------------------------------------
 *
 * manifest_test.c
 *	  Properties of backup manifests, for those of a fixed generator, and what
 *	  is to be said of some that are wrong; and of CRC32C.
 *
 * manifest_test [manifests [seed]]
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#include "manifest_property.h"

#include "backup/verify_crc.h"

#define HEAD "{\"PostgreSQL-Backup-Manifest-Version\": 1,\n"
#define FILE_IS(text) HEAD "\"Files\": [{" text "}],\n\"Manifest-Checksum\": \"\"}\n"

static const struct
{
	const char *text;
	const char *problem;		/* how it begins */
}			wrong[] = {
	{"", "the object is missing"},
	{"{\n", "a key is missing"},
	{"{}\n", "it has no Manifest-Checksum"},
	{"[]\n", "the object is missing"},
	{"{\"not-expected\": 1}\n", "a key is not known, on line 1"},
	{"{\"Files\": []}\n", "it does not begin with its version"},
	{"{\"PostgreSQL-Backup-Manifest-Version\": \"1\"}\n", "PostgreSQL-Backup-Manifest-Version is not a whole number"},
	{"{\"PostgreSQL-Backup-Manifest-Version\": 1.0}\n", "PostgreSQL-Backup-Manifest-Version is not a whole number"},
	{"{\"PostgreSQL-Backup-Manifest-Version\": 01}\n", "it is not valid JSON"},
	{"{\"PostgreSQL-Backup-Manifest-Version\": 9876599}\n", "its version is 9876599, which is not known"},
	{"{\"PostgreSQL-Backup-Manifest-Version\": 1 \"Files\": []}\n", "a comma is missing"},
	{"{\"PostgreSQL-Backup-Manifest-Version\" 1}\n", "a colon is missing"},
	{HEAD "\"PostgreSQL-Backup-Manifest-Version\": 1}\n", "key \"PostgreSQL-Backup-Manifest-Version\" is there twice, on line 2"},
	{HEAD "\"Files\": true}\n", "Files is not a list"},
	{HEAD "\"Files\": {}}\n", "Files is not a list"},
	{HEAD "\"Files\": [1]}\n", "Files holds something other than objects"},
	{HEAD "\"Files\": [[[[[[]]]]]]}\n", "Files holds something other than objects"},
	{HEAD "\"Files\": [{}]}\n", "a file has no Path"},
	{HEAD "\"Files\": [],}\n", "a key is missing"},
	{HEAD "\"Files\": [], \"Files\": []}\n", "key \"Files\" is there twice"},
	{FILE_IS("\"Path\": \"x\""), "a file has no Size"},
	{FILE_IS("\"Path\": \"\", \"Size\": 0"), "a file has no Path"},
	{FILE_IS("\"Path\": \"x\", \"Encoded-Path\": \"1234\", \"Size\": 0"), "a file has a Path and an Encoded-Path"},
	{FILE_IS("\"Oops\": 1"), "a key is not known"},
	{FILE_IS("\"Path\": \"x\", \"Path\": \"x\""), "key \"Path\" is there twice"},
	{FILE_IS("\"Path\": \"x\", \"\\u0050ath\": \"x\""), "key \"Path\" is there twice"},
	{FILE_IS("\"Path\": \"x\", \"Size\": \"Oops\""), "Size is not a whole number"},
	{FILE_IS("\"Path\": \"x\", \"Size\": -1"), "Size is not a whole number"},
	{FILE_IS("\"Path\": \"x\", \"Size\": 1e3"), "Size is not a whole number"},
	{FILE_IS("\"Path\": \"x\", \"Size\": 9223372036854775808"), "Size is not a whole number from 0 to 9223372036854775807"},
	{FILE_IS("\"Path\": \"x\", \"Size\": null"), "Size is not a whole number"},
	{FILE_IS("\"Path\": null, \"Size\": 0"), "Path is not a string"},
	{FILE_IS("\"Path\": \"a\\u0000b\", \"Size\": 0"), "Path holds an escape that means nothing"},
	{FILE_IS("\"Path\": \"a\\ud800b\", \"Size\": 0"), "Path holds an escape that means nothing"},
	{FILE_IS("\"Path\": \"a\\udc00b\", \"Size\": 0"), "Path holds an escape that means nothing"},
	{FILE_IS("\"Path\": \"a\\ud800\\u0061\", \"Size\": 0"), "Path holds an escape that means nothing"},
	{FILE_IS("\"Path\": \"a\\x\", \"Size\": 0"), "it is not valid JSON"},
	{FILE_IS("\"Path\": \"a\tb\", \"Size\": 0"), "it is not valid JSON"},
	{FILE_IS("\"Encoded-Path\": \"123\", \"Size\": 0"), "Encoded-Path is no path in hexadecimal"},
	{FILE_IS("\"Encoded-Path\": \"12xx\", \"Size\": 0"), "Encoded-Path is no path in hexadecimal"},
	{FILE_IS("\"Encoded-Path\": \"610062\", \"Size\": 0"), "Encoded-Path is no path in hexadecimal"},
	{FILE_IS("\"Path\": \"x\", \"Size\": 100, \"Checksum\": \"00\""), "a file has a Checksum, but no Checksum-Algorithm"},
	{FILE_IS("\"Path\": \"x\", \"Size\": 100, \"Checksum-Algorithm\": \"Oops\""), "Checksum-Algorithm is not known"},
	{FILE_IS("\"Path\": \"x\", \"Size\": 100, \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"0\""), "Checksum is not a number of bytes in hexadecimal"},
	{FILE_IS("\"Path\": \"x\", \"Size\": 100, \"Last-Modified\": 1"), "Last-Modified is not a string"},
	{HEAD "\"WAL-Ranges\": [{\"Timeline\": 1}]}\n", "a range of WAL has not all of"},
	{HEAD "\"WAL-Ranges\": [{}]}\n", "a range of WAL has not all of"},
	{HEAD "\"WAL-Ranges\": [{\"Oops\": 1}]}\n", "a key is not known"},
	{HEAD "\"WAL-Ranges\": [{\"Timeline\": true, \"Start-LSN\": \"0/0\", \"End-LSN\": \"0/0\"}]}\n", "Timeline is not a whole number from 0 to 4294967295"},
	{HEAD "\"WAL-Ranges\": [{\"Timeline\": 4294967296, \"Start-LSN\": \"0/0\", \"End-LSN\": \"0/0\"}]}\n", "Timeline is not a whole number"},
	{HEAD "\"WAL-Ranges\": [{\"Timeline\": 1, \"Start-LSN\": \"oops\", \"End-LSN\": \"0/0\"}]}\n", "Start-LSN is not a position in the WAL"},
	{HEAD "\"WAL-Ranges\": [{\"Timeline\": 1, \"Start-LSN\": \"0/0\", \"End-LSN\": \"0/123456789\"}]}\n", "End-LSN is not a position in the WAL"},
	{HEAD "\"WAL-Ranges\": [{\"Timeline\": 1, \"Start-LSN\": \"0/0\", \"End-LSN\": \"0/0 \"}]}\n", "End-LSN is not a position in the WAL"},
	{HEAD "\"Files\": [],\n \"Manifest-Checksum\": null}\n", "Manifest-Checksum is not a string"},
	{HEAD "\"Files\": [],\n \"Manifest-Checksum\": \"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz01234567890-\"}\n", "Manifest-Checksum is no SHA-256, on line 3"},
	{HEAD "\"Files\": [],\n \"Manifest-Checksum\": \"0000000000000000000000000000000000000000000000000000000000000000\"}\n", "its checksum does not match"},
	{HEAD "\"Files\": [],\n \"Manifest-Checksum\": \"0000000000000000000000000000000000000000000000000000000000000000\", \"Files\": []}\n", "the end after Manifest-Checksum is missing"},
	{HEAD "\"Files\": [],\n \"Manifest-Checksum\": \"0000000000000000000000000000000000000000000000000000000000000000\"} {}\n", "the end of the file is missing"},
	{HEAD "\n \"Manifest-Checksum\": \"0000000000000000000000000000000000000000000000000000000000000000\"}\n", "it has no Files"},
	{"{\"PostgreSQL-Backup-Manifest-Version\": 2, \"Files\": [],\n \"Manifest-Checksum\": \"0000000000000000000000000000000000000000000000000000000000000000\"}\n", "it has no System-Identifier"},
	{"{\"PostgreSQL-Backup-Manifest-Version\": 2, \"System-Identifier\": 18446744073709551616}\n", "System-Identifier is not a whole number from 0 to 18446744073709551615"},
	{"\xef\xbb\xbf{}", "it is not valid JSON"},
};

/* xorshift: the same manifests on every machine */
static uint64 state;

static uint8
random_byte(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint8) (state >> 24);
}

static int
check_wrong(void)
{
	int			faults = 0;

	for (int i = 0; i < lengthof(wrong); i++)
	{
		ManifestHead head;
		Memory		memory;
		size_t		length = strlen(wrong[i].text);
		bool		taken;

		if (read_text(wrong[i].text, length, 0, 100, &head, &memory) ||
			strncmp(head.problem, wrong[i].problem, strlen(wrong[i].problem)) != 0)
		{
			fprintf(stderr, "expected \"%s\"\n", wrong[i].problem);
			faults += complain("another problem", wrong[i].text, length, &head);
		}
		free(memory.found.data);
		/* each beginning of it */
		for (size_t part = 0; part <= length; part++)
			faults += check_text(wrong[i].text, part, 256, 3, &taken);
	}
	return faults;
}

/* values as long as they may be, and longer */
static int
check_lengths(void)
{
	int			faults = 0;

	for (int more = -1; more <= 1; more++)
	{
		Text text = {0};
		ManifestHead head;
		Memory		memory;

		add_format(&text, HEAD "\"Files\": [{\"Path\": \"");
		for (int i = 0; i < MANIFEST_MAX_PATH + more; i++)
			add_format(&text, "p");
		add_format(&text, "\", \"Size\": 1}],\n\"Manifest-Checksum\": \"\"}\n");
		(void) read_text(text.data, text.length, 0, 1000, &head, &memory);
		if ((strncmp(head.problem, "Path is too long", 16) == 0) != (more > 0))
			faults += complain("length of a path", text.data, text.length, &head);
		free(memory.found.data);
		/* a window that it does not fit into */
		(void) read_text(text.data, text.length, 1024, 1000, &head, &memory);
		if (strstr(head.problem, "not valid JSON") == NULL && strstr(head.problem, "too long") == NULL)
			faults += complain("longer than the window", text.data, text.length, &head);
		free(memory.found.data);
		free(text.data);
	}
	return faults;
}

/* bit by bit */
static uint32
slow_crc(uint32 crc, const uint8 *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82F63B78 : crc >> 1;
	}
	return crc;
}

/* CRC32C by both ways, of lengths around the parts, from any address */
static int
check_crc(void)
{
	static const size_t lengths[] = {0, 1, 7, 8, 9, 100, 8191, 8192, 24575, 24576, 24577, 32768, 49151, 49152, 49160, 100003};
	CrcFunction three_way = verify_three_way();
	uint8	   *data = malloc(100011);
	int			faults = 0;

	for (int i = 0; i < 100011; i++)
		data[i] = random_byte();
	/* as RFC 3720 has it */
	if ((verify_crc32c(0xFFFFFFFF, "123456789", 9) ^ 0xFFFFFFFF) != 0xE3069283)
		faults++;
	for (int i = 0; i < lengthof(lengths); i++)
		for (int at = 0; at < 8; at++)
		{
			uint32		begin = i % 2 == 0 ? 0xFFFFFFFF : 12345;
			uint32		expected = slow_crc(begin, data + at, lengths[i]);

			faults += verify_crc32c(begin, data + at, lengths[i]) != expected;
			faults += three_way != NULL && three_way(begin, data + at, lengths[i]) != expected;
		}
	free(data);
	if (faults > 0)
		fprintf(stderr, "CRC32C is wrong %d times\n", faults);
	return faults;
}

int
main(int argc, char **argv)
{
	int			n = argc > 1 ? atoi(argv[1]) : 20000;
	int			faults = check_wrong() + check_lengths();

	state = argc > 2 ? strtoul(argv[2], NULL, 10) : 20261122;
	faults += check_crc();
	for (int i = 0; i < n && faults < 10; i++)
	{
		uint8		bytes[400];
		Bytes		b = {bytes, sizeof(bytes)};

		for (int j = 0; j < sizeof(bytes); j++)
			bytes[j] = random_byte();
		faults += check_made(&b);
	}
	printf("manifest_test: %d manifests, %d faults\n", n, faults);
	return faults != 0;
}

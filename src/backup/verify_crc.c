/*-------------------------------------------------------------------------
 *
 * verify_crc.c
 *	  CRC32C, as fast as it goes on this processor.
 *
 * The server's own function feeds one crc32 instruction after the other, of
 * which each waits three cycles for the one before, though one could begin in
 * every cycle.  So three parts of a block are summed up side by side here, and
 * put together: the sum of a part that is followed by n bytes is the sum times
 * x^8n, modulo the polynomial, which four tables give.
 *
 * Servers since 18 may know something better (carry-less multiplication, on
 * processors that have it wide).  Which is faster is found out once in a
 * process, by trying both on a megabyte, which takes less than a millisecond;
 * and should they ever disagree, the server's counts.
 *
 * Runs in any process, keeps nothing but the choice and the tables.  Is also
 * built outside the server, for its test.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "port/pg_crc32c.h"
#include "portability/instr_time.h"

#include "backup/verify_crc.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define HAVE_THREE_WAY 1
#endif

static uint32
server_crc32c(uint32 crc, const void *data, size_t length)
{
	COMP_CRC32C(crc, data, length);
	return crc;
}

static CrcFunction chosen = NULL;

#ifdef HAVE_THREE_WAY

/* bytes of one of three parts */
#define PART 8192

/* the polynomial, its lowest power in the highest bit, as the instruction has it */
#define POLYNOMIAL 0x82F63B78

/* times x^(8 * PART), byte by byte of the sum */
static uint32 shifts[4][256];

static uint32
multiply(uint32 a, uint32 b)
{
	uint32		product = 0;

	for (uint32 bit = 0x80000000; bit != 0; bit >>= 1)
	{
		if ((a & bit) != 0)
			product ^= b;
		b = (b & 1) != 0 ? b >> 1 ^ POLYNOMIAL : b >> 1;
	}
	return product;
}

static void
make_shifts(void)
{
	/* x^8, and squared until it is x^(8 * PART) */
	uint32		power = 0x00800000;

	for (int i = 1; i < PART; i *= 2)
		power = multiply(power, power);
	for (int byte = 0; byte < 4; byte++)
		for (uint32 i = 0; i < 256; i++)
			shifts[byte][i] = multiply(i << 8 * byte, power);
}

static inline uint32
shift(uint32 crc)
{
	return shifts[0][crc & 0xFF] ^ shifts[1][crc >> 8 & 0xFF] ^
		shifts[2][crc >> 16 & 0xFF] ^ shifts[3][crc >> 24];
}

__attribute__((target("sse4.2")))
static uint32
three_way_crc32c(uint32 crc, const void *data, size_t length)
{
	const char *p = data;

	while (length >= 3 * PART)
	{
		uint64		a = crc;
		uint64		b = 0;
		uint64		c = 0;

		for (const char *end = p + PART; p < end; p += 8)
		{
			uint64		word[3];

			/* these become loads */
			memcpy(&word[0], p, 8);
			memcpy(&word[1], p + PART, 8);
			memcpy(&word[2], p + 2 * PART, 8);
			a = __builtin_ia32_crc32di(a, word[0]);
			b = __builtin_ia32_crc32di(b, word[1]);
			c = __builtin_ia32_crc32di(c, word[2]);
		}
		crc = shift(shift((uint32) a) ^ (uint32) b) ^ (uint32) c;
		p += 2 * PART;
		length -= 3 * PART;
	}
	return server_crc32c(crc, p, length);
}

/*
 * The function that sums three parts up side by side; NULL: this processor has
 * no instruction for it.
 */
CrcFunction
verify_three_way(void)
{
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("sse4.2"))
		return NULL;
	make_shifts();
	return three_way_crc32c;
}

#else

CrcFunction
verify_three_way(void)
{
	return NULL;
}

#endif

/*
 * Seconds for a block, the best of a few.
 */
static double
time_of(CrcFunction function, const char *block, size_t length, uint32 *crc)
{
	double		best = 1e9;

	for (int round = 0; round < 4; round++)
	{
		instr_time	begun;
		instr_time	ended;

		INSTR_TIME_SET_CURRENT(begun);
		*crc = function(0xFFFFFFFF, block, length);
		INSTR_TIME_SET_CURRENT(ended);
		INSTR_TIME_SUBTRACT(ended, begun);
		best = Min(best, INSTR_TIME_GET_DOUBLE(ended));
	}
	return best;
}

static CrcFunction
choose(void)
{
	size_t		length = 256 * 1024;
	CrcFunction ours = verify_three_way();
	CrcFunction best = server_crc32c;
	char	   *block;
	uint32		our_crc;
	uint32		their_crc;

	if (ours == NULL)
		return best;
	block = palloc(length);
	for (size_t i = 0; i < length; i++)
		block[i] = (char) (i * 2654435761U >> 13);
	if (time_of(ours, block, length, &our_crc) < time_of(server_crc32c, block, length, &their_crc) &&
		our_crc == their_crc)
		best = ours;
	pfree(block);
	return best;
}

/*
 * As COMP_CRC32C.
 */
uint32
verify_crc32c(uint32 crc, const void *data, size_t length)
{
	if (chosen == NULL)
		chosen = choose();
	return chosen(crc, data, length);
}

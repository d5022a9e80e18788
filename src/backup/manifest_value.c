/*-------------------------------------------------------------------------
 *
 * manifest_value.c
 *	  Values of a backup manifest.
 *
 * The lexer of the server says where a string or a number begins and ends, and
 * that it is one.  What it means is read here: numbers of 64 bits exactly, and
 * strings as UTF-8 whatever the encoding of the database, which the server's
 * own unescaping would turn them into.
 *
 * Pure functions of their arguments, without memory of their own; they are
 * also built outside the server, for the fuzzer.
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

#include "backup/manifest.h"

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * The four digits after \u; -1: there are not four.
 */
static int
code_unit(const char *text, const char *end)
{
	int			value = 0;

	if (end - text <4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		int			digit = hex_digit(text[i]);

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/*
 * A code point as UTF-8; returns how many bytes.
 */
static int
put_utf8(uint32 c, char *out)
{
	if (c < 0x80)
	{
		out[0] = (char) c;
		return 1;
	}
	if (c < 0x800)
	{
		out[0] = (char) (0xC0 | c >> 6);
		out[1] = (char) (0x80 | (c & 0x3F));
		return 2;
	}
	if (c < 0x10000)
	{
		out[0] = (char) (0xE0 | c >> 12);
		out[1] = (char) (0x80 | (c >> 6 & 0x3F));
		out[2] = (char) (0x80 | (c & 0x3F));
		return 3;
	}
	out[0] = (char) (0xF0 | c >> 18);
	out[1] = (char) (0x80 | (c >> 12 & 0x3F));
	out[2] = (char) (0x80 | (c >> 6 & 0x3F));
	out[3] = (char) (0x80 | (c & 0x3F));
	return 4;
}

/*
 * What follows a backslash, which *text points at: a code point, or 0 for what
 * is none, the byte zero included.  Moves *text to its last character.
 */
static uint32
escaped(const char **text, const char *end)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meant[] = "\"\\/\b\f\n\r\t";
	const char *found;
	int			high;
	int			low;

	if (*text >=end || **text == '\0')
		return 0;
	found = strchr(letters, **text);
	if (found != NULL)
		return meant[found - letters];
	if (**text !='u')
		return 0;
	high = code_unit(*text +1, end);
	if (high < 0 || (high >= 0xDC00 && high <= 0xDFFF))
		return 0;
	*text +=4;
	if (high < 0xD800 || high > 0xDBFF)
		return high;
	/* the first half of a pair */
	if (end - *text <7 || (*text)[1] != '\\' || (*text)[2] != 'u')
		return 0;
	low = code_unit(*text +3, end);
	if (low < 0xDC00 || low > 0xDFFF)
		return 0;
	*text +=6;
	return 0x10000 + ((uint32) (high - 0xD800) << 10) + (low - 0xDC00);
}

/*
 * What is between the quotes of a string, without escapes and with a zero at
 * the end; returns its length, -1 where an escape is none, -2 where it does not
 * fit into size bytes.
 */
int
manifest_decode_string(const char *text, size_t length, char *out, size_t size)
{
	const char *end = text +length;
	size_t		used = 0;

	if (memchr(text, '\\', length) == NULL)
	{
		if (length >= size)
			return -2;
		memcpy(out, text, length);
		out[length] = '\0';
		return memchr(out, '\0', length) == NULL ? (int) length : -1;
	}
	for (; text <end; text ++)
	{
		uint32		c = 0;

		/* the longest code point, and the zero */
		if (used + 5 > size)
			return -2;
		if (*text == '\0')
			return -1;
		if (*text !='\\')
		{
			out[used++] = *text;
			continue;
		}
		text	  ++;

		c = escaped(&text, end);
		if (c == 0)
			return -1;
		used += put_utf8(c, out + used);
	}
	out[used] = '\0';
	return (int) used;
}

/*
 * length / 2 bytes of hexadecimal digits.
 */
bool
manifest_decode_hex(const char *text, size_t length, uint8 *out)
{
	if (length % 2 != 0)
		return false;
	for (size_t i = 0; i < length; i += 2)
	{
		int			high = hex_digit(text[i]);
		int			low = hex_digit(text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i / 2] = (uint8) (high * 16 + low);
	}
	return true;
}

/*
 * A whole number from 0 to limit, exactly.
 */
bool
manifest_decode_number(const char *text, size_t length, uint64 limit, uint64 *value)
{
	uint64		number = 0;

	if (length == 0)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		uint64		digit = (uint64) (text[i] - '0');

		if (text[i] < '0' || text[i] > '9')
			return false;
		if (number > (limit - digit) / 10 || digit > limit)
			return false;
		number = number * 10 + digit;
	}
	*value = number;
	return true;
}

/*
 * A position in the WAL, such as 0/3000028.
 */
bool
manifest_decode_lsn(const char *text, uint64 *lsn)
{
	uint64		value = 0;

	for (int half = 0; half < 2; half++)
	{
		size_t		digits = strspn(text, "0123456789ABCDEFabcdef");

		if (digits == 0 || digits > 8 || text[digits] != (half == 0 ? '/' : '\0'))
			return false;
		value <<= 32;
		for (size_t i = 0, shift = (digits - 1) * 4; i < digits; i++, shift -= 4)
			value |= (uint64) hex_digit(text[i]) << shift;
		text	  +=digits + 1;
	}
	*lsn = value;
	return true;
}

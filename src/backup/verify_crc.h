/*-------------------------------------------------------------------------
 *
 * verify_crc.h
 *	  CRC32C, as fast as it goes on this processor.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_VERIFY_CRC_H
#define MAINTSCHED_VERIFY_CRC_H

typedef uint32 (*CrcFunction) (uint32 crc, const void *data, size_t length);

extern uint32 verify_crc32c(uint32 crc, const void *data, size_t length);
extern CrcFunction verify_three_way(void);

#endif							/* MAINTSCHED_VERIFY_CRC_H */

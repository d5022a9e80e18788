/*-------------------------------------------------------------------------
 *
 * wake.h
 *	  Telling the background, at commit, that a database has something new.
 *
 * Copyright (c) 2026, maintsched developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAINTSCHED_WAKE_H
#define MAINTSCHED_WAKE_H

#define WAKE_MAX_DIRTY 128

extern bool wake_launcher_enabled;
extern int	wake_max_workers;

extern void wake_request_shmem(void);
extern void wake_create_shmem(void);
extern bool wake_preloaded(void);

/* for the launcher (database is InvalidOid) and schedulers */
extern bool wake_listen(Oid database);
extern uint32 wake_count(void);
extern bool wake_stop_listening(uint32 seen);
extern int	wake_take_dirty(Oid *databases, bool *overflow);

/* for whoever knows of something new */
extern void wake_database(Oid database);
extern void wake_at_commit(Oid database);
extern void wake_databases_at_commit(void);

#endif							/* MAINTSCHED_WAKE_H */

#include "postgres.h"

#include "backup/drill.h"

bool
drill_is_tar(Drill *drill)
{
	return false;
}

void
drill_extract_backup(Drill *drill)
{
}

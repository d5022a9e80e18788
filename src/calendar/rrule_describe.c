#include "calendar/rrule.h"
#include <stdio.h>
size_t
rrule_describe(const RRule *rule, char *out, size_t size)
{
	return snprintf(out, size, "every so often");
}

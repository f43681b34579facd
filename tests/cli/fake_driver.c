/* A libcuda.so.1 without a GPU behind it, which answers as the environment says:
   FAKE_DRIVER_VERSION (12040 is CUDA 12.4) and FAKE_DRIVER_ERROR, what cuInit returns.
   The CUDA runtime inside CuPy asks for each function by name; those that are not here fail.
   A device cannot be played: before it counts any, the runtime lets the driver prove itself. */
#include <stdlib.h>
#include <string.h>

enum { SYMBOL_NOT_FOUND = 500 };

static int setting(const char *name)
{
    const char *text = getenv(name);
    return text ? atoi(text) : 0;
}

int cuInit(unsigned flags)
{
    (void)flags;
    return setting("FAKE_DRIVER_ERROR");
}

int cuDriverGetVersion(int *version)
{
    *version = setting("FAKE_DRIVER_VERSION");
    return 0;
}

static int refuse(void) { return SYMBOL_NOT_FOUND; }

int cuGetProcAddress_v2(const char *name, void **function, int version,
                        unsigned long long flags, int *status)
{
    (void)version;
    (void)flags;
    if (status) *status = 0;
    if (!strcmp(name, "cuInit")) *function = (void *)cuInit;
    else if (!strcmp(name, "cuDriverGetVersion")) *function = (void *)cuDriverGetVersion;
    else if (!strcmp(name, "cuGetProcAddress")) *function = (void *)cuGetProcAddress_v2;
    else *function = (void *)refuse;
    return 0;
}

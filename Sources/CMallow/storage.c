#include "CMallow.h"

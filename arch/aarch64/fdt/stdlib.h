#pragma once
/* For libfdt: part of its environment that is not used. */

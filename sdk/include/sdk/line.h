#pragma once
/* For drivers of serial lines. Context of all: any. */
#include <kabi/char_driver.h>

/* What a driver says of a received byte. A break is no wrong parity and no wrong frame, though
 * chips say these too: a line that is low for longer than a byte has neither. */
static inline enum char_error sdk_line_error(bool lost, bool line_break, bool parity, bool frame)
{
	u32 e = lost ? CHAR_ERROR_LOST : 0;

	if (line_break)
		return (enum char_error)(e | CHAR_ERROR_LINE_BREAK);
	e |= parity ? CHAR_ERROR_PARITY : 0;
	e |= frame ? CHAR_ERROR_FRAME : 0;
	return (enum char_error)e;
}

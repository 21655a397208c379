"""Splits what comes over the guest's console into kernel log and CMD's output.

The guest's init marks the beginning and the end of CMD's part; see guest/init.c.
"""

import re

BOOTING, RUNNING, ENDED, REFUSED = "booting", "running", "ended", "refused"
# A line as Linux and we print the kernel log; only looked for when the guest could not be quieted.
LOG_LINE = re.compile(rb"^\[ *\d+\.\d{6}\]")
# What may yet become such a line: held back until it is decided.
LOG_LINE_BEGINNING = re.compile(rb"\[[ ]*\d*(\.\d{0,5}|\.\d{6}(\].*)?)?", re.S)


class Splitter:
    """feed(bytes) calls output(bytes) for CMD's part and log(bytes) for the rest."""

    def __init__(self, nonce, output, log, translate):
        """translate: undo the terminal's \\n -> \\r\\n where the guest could not switch it off."""
        self.mark = b"\x1e@UMKA-" + nonce.encode() + b"@ "
        self.output = output
        self.log = log
        self.state = BOOTING
        self.flags = set()
        self.status = None
        self.held = b""
        self.translate = translate
        self.had_return = False
        self.at_line_start = True

    def feed(self, data):
        self.held += data
        while self._step():
            pass

    def _step(self):
        """Consumes a part of what is held; False when more must come first."""
        if self.state in (ENDED, REFUSED):
            self._emit(self.log, len(self.held))
            return False
        at = self.held.find(self.mark)
        if at < 0:
            # The tail may be the beginning of a marker.
            keep = next((n for n in range(min(len(self.mark) - 1, len(self.held)), 0, -1)
                         if self.mark.startswith(self.held[-n:])), 0)
            self._emit_part(len(self.held) - keep)
            return False
        end = self.held.find(b"\n", at)
        if end < 0:
            self._emit_part(at)
            return False
        words = self.held[at + len(self.mark):end].split()
        self._emit_part(at, last=True)
        self.held = self.held[end - at + 1:]
        self._marker([w.decode(errors="replace") for w in words])
        return True

    def _marker(self, words):
        if words[:1] == ["start"]:
            self.state = RUNNING
            self.flags = set(words[1:])
        elif words[:1] == ["exit"] and len(words) == 2 and words[1].isdigit():
            self.state = ENDED
            self.status = int(words[1])
        elif words[:1] == ["failed"]:
            self.state = REFUSED

    def _emit(self, sink, count):
        if count > 0:
            sink(self.held[:count])
            self.held = self.held[count:]

    def _emit_part(self, count, last=False):
        if self.state == BOOTING:
            self._emit(self.log, count)
        elif "quiet" in self.flags:
            self._emit(self._text, count)
        else:
            self._emit_lines(count, last)

    def _emit_lines(self, count, last):
        """Line by line, kernel messages out of CMD's output."""
        part, rest = self.held[:count], self.held[count:]
        # Not splitlines: a carriage return alone ends no line (a driver may send two before its newline).
        lines = re.findall(rb"[^\n]*\n|[^\n]+", part)
        kept = b""
        if lines and not last and not lines[-1].endswith(b"\n") and LOG_LINE_BEGINNING.fullmatch(lines[-1]) \
                and (len(lines) > 1 or self.at_line_start):
            kept = lines.pop()
        for line in lines:
            to_log = self.at_line_start and LOG_LINE.match(line)
            (self.log if to_log else self._text)(line)
            self.at_line_start = line.endswith(b"\n")
        self.held = kept + rest

    def _text(self, data):
        if self.translate and "raw" not in self.flags:
            data = (b"\r" if self.had_return else b"") + data
            self.had_return = data.endswith(b"\r")
            data = data.removesuffix(b"\r").replace(b"\r\n", b"\n")
        self.output(data)

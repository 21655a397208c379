# make -j4: a tree of 60 targets with a recursive make under one job server.
mkdir -p sub
cat >Makefile <<'END'
N := $(shell seq 1 40)
all: $(N:%=out/%) nested sum
out/%: | out
	@sleep 0.0$$(($* % 5)); echo "target $*" >$@.new; mv $@.new $@
out:
	@mkdir out
nested:
	@$(MAKE) --no-print-directory -C sub
sum: $(N:%=out/%) nested
	@cat $(sort $(N:%=out/%)) sub/[0-9]* | sort | md5sum >sum
.PHONY: all nested
END
cat >sub/Makefile <<'END'
N := $(shell seq 100 119)
all: $(N)
$(N):
	@echo "nested $@" >$@
END
make -j4
echo "status $?"
cat sum
ls out | wc -l
make -j4 -q sum 2>/dev/null
echo "up to date: $?"
touch -d '2030-01-01' out/7
make -j4 --no-print-directory -n sum | grep -c md5sum
cat >bad.mk <<'END'
all: a b c
a:
	@exit 3
b c:
	@sleep 0.05
END
make -j4 -f bad.mk 2>bad.log
echo "failing: $?"
grep -c 'Error 3' bad.log
# The job server is a FIFO of that name.
printf 'all:\n\t@echo "$$MAKEFLAGS" | tr " " "\\n" | grep -c jobserver-auth=fifo:\n' >js.mk
printf 'all:\n\t+@$(MAKE) --no-print-directory -f js.mk\n' >js2.mk
make -j4 --no-print-directory -f js2.mk

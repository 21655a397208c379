# perl: processes, pipes, sockets, files, signals, sorting.
perl -e 'my @p; for my $i (1..5) { my $pid = fork; if (!$pid) { exit $i } push @p, $pid } my $s = 0; for (@p) { waitpid $_, 0; $s += $? >> 8 } print "sum $s\n"'
perl -e 'open my $p, "-|", "seq 1 1000" or die; my $s; $s += $_ while <$p>; close $p; print "piped $s\n"'
perl -e 'use Socket; socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!; if (fork) { syswrite $a, "hello"; shutdown $a, 1; wait; print "child said ", $? >> 8, "\n" } else { my $n = sysread $b, my $x, 100; exit $n }'
perl -e '$SIG{ALRM} = sub { print "alarm\n"; exit 0 }; alarm 1; select undef, undef, undef, 10; print "late\n"'
perl -e '$SIG{USR1} = sub { $n++ }; kill USR1 => $$ for 1..3; print "signals $n\n"'
perl -e 'mkdir "d"; for (1..200) { open my $f, ">", "d/$_" or die; print $f "x" x $_; close $f } opendir my $d, "d"; my @f = grep !/^\./, readdir $d; my $t = 0; $t += -s "d/$_" for @f; print scalar(@f), " files, $t bytes\n"; unlink glob "d/*"; rmdir "d" or die $!; print -e "d" ? "still" : "gone", "\n"'
perl -MPOSIX -e 'my ($r, $w) = POSIX::pipe(); my @u = (POSIX::uname())[0]; print "@u\n"; print POSIX::strftime("%Y-%m-%d %H:%M:%S", gmtime 86400 * 365), "\n"'
perl -MFcntl=:flock -e 'open my $f, ">", "lock"; flock $f, LOCK_EX or die; if (!fork) { open my $g, ">", "lock"; exit(flock($g, LOCK_EX | LOCK_NB) ? 1 : 0) } wait; print "locked ", $? >> 8, "\n"'
perl -e 'my @a = map { ($_ * 7919) % 100003 } 1..50000; my @s = sort { $a <=> $b } @a; my $h; $h = ($h * 31 + $_) % 1000000007 for @s; print "sorted $h\n"'
perl -MTime::HiRes=sleep,time -e 'my $t = time; sleep 0.2; my $d = time - $t; print $d >= 0.2 && $d < 5 ? "slept\n" : "wrong $d\n"'
perl -e 'symlink "target", "l" or die; print readlink "l", "\n"; open my $f, ">", "target"; print $f "abc\n"; close $f; chmod 0640, "target"; utime 1000, 2000, "target"; my @s = stat "l"; printf "%o %d %d %d\n", $s[2], $s[7], $s[8], $s[9]'
perl -e 'exec "sh", "-c", "exit 7"'
echo "status $?"
perl -e 'die "dies\n"' 2>&1
echo "status $?"
perl -e 'kill TERM => $$; sleep 5'
echo "status $?"

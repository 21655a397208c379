# apt: a local repository read through the _apt sandbox; a package with maintainer scripts and one
# with a trigger; installed, upgraded, removed, purged.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
arch=$(dpkg --print-architecture)
log=/var/log/programs-apt.log
rm -f $log

make_package() { # NAME VERSION TREE-FUNCTION
	rm -rf tree
	mkdir -p tree/DEBIAN
	cat >tree/DEBIAN/control <<END
Package: $1
Version: $2
Architecture: $arch
Maintainer: Tester <tester@example.org>
Description: package of a test
END
	$3
	dpkg-deb --root-owner-group --build tree repo/$1_$2.deb >/dev/null || exit 1
}

script() { # NAME
	printf '#!/bin/sh\nset -e\necho "%s $*" >>%s\n' "$1" $log >tree/DEBIAN/$1
	chmod 755 tree/DEBIAN/$1
}

watcher() {
	script postinst
	echo 'interest-noawait /usr/share/programs-watched' >tree/DEBIAN/triggers
}

worker() {
	for s in preinst postinst prerm postrm; do
		script $s
	done
	mkdir -p tree/usr/share/programs-watched tree/etc tree/usr/bin
	echo "version $version" >tree/usr/share/programs-watched/data
	echo 'setting=1' >tree/etc/programs-test.conf
	echo /etc/programs-test.conf >tree/DEBIAN/conffiles
	printf '#!/bin/sh\necho "runs %s"\n' $version >tree/usr/bin/programs-test
	chmod 755 tree/usr/bin/programs-test
	ln tree/usr/bin/programs-test tree/usr/bin/programs-hard
	ln -s programs-test tree/usr/bin/programs-soft
}

index() {
	(
		cd repo
		for deb in *.deb; do
			dpkg-deb -f $deb
			echo "Filename: ./$deb"
			echo "Size: $(stat -c %s $deb)"
			echo "SHA256: $(sha256sum $deb | cut -d' ' -f1)"
			echo
		done >Packages
	)
}

rm -rf /srv/programs-repo
mkdir -p repo
version=1.0
make_package programs-watcher 1.0 watcher
make_package programs-worker 1.0 worker
index
mkdir -p /srv
mv repo /srv/programs-repo
ln -s /srv/programs-repo repo
echo "deb [trusted=yes] copy:/srv/programs-repo ./" >sources.list
mkdir -p lists/partial archives/partial
chown _apt lists/partial archives/partial 2>/dev/null
chmod 755 . lists archives
get() {
	apt-get -qq -y -o Dir::Etc::sourcelist=$PWD/sources.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$PWD/lists \
		-o Dir::Cache::archives=$PWD/archives -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Dpkg::Use-Pty=0 \
		-o APT::Sandbox::User=_apt "$@" >out.log 2>&1
	echo "$1: $?"
	grep -E '^(Setting up|Removing|Purging|Unpacking|Processing triggers|E:|W:)' out.log | sed 's/ \.\.\.$//'
}
get update
get install programs-watcher
get install programs-worker
programs-test
programs-hard
programs-soft
stat -c '%h %a %U %n' /usr/bin/programs-test
dpkg -s programs-worker | grep -E '^(Status|Version)'
echo 'setting=2' >/etc/programs-test.conf
version=2.0
make_package programs-worker 2.0 worker
index
get update
get install programs-worker
programs-test
cat /etc/programs-test.conf
dpkg -V programs-worker
dpkg -L programs-worker | sort | md5sum
get remove programs-worker
dpkg -s programs-worker 2>/dev/null | grep '^Status'
ls /etc/programs-test.conf
get purge programs-worker programs-watcher
ls /etc/programs-test.conf 2>&1 | grep -c 'No such'
dpkg --audit
cat $log
rm -rf /srv/programs-repo $log

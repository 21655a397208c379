# e2fsprogs on an image file.
truncate -s 16M img; mke2fs -q -F -t ext4 img; e2fsck -fn img >/dev/null 2>&1; echo "fsck $?"
echo content >file; debugfs -w -R 'write file file' img 2>/dev/null; debugfs -R 'cat file' img 2>/dev/null
tune2fs -L label img >/dev/null; dumpe2fs -h img 2>/dev/null | grep -E 'volume name|Inode count'; lsattr -d . | cut -c1-4 | tr -d -- - | wc -c

# git: clone of real history over file://, gc, fsck, checkout of ten commits, and a few changes.
export HOME=$PWD GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
git config --global user.name tester
git config --global user.email tester@example.org
git config --global init.defaultBranch main
git config --global advice.detachedHead false
git config --global gc.auto 0
git clone -q --bare "$INPUT/history.bundle" origin.git || exit 1
git -C origin.git for-each-ref --format='%(refname)' refs/heads | head -1
git clone -q "file://$PWD/origin.git" clone
echo "clone: $?"
cd clone
git log --oneline | wc -l
git ls-files | wc -l
git status --short | wc -l
git gc -q
echo "gc: $?"
git fsck --full --strict 2>&1 | grep -v '^Checking' | head -3
git count-objects -v | grep -E '^(count|packs|garbage)'
for commit in $(git rev-list HEAD | awk 'NR % 3 == 1' | head -10); do
	git checkout -q $commit && git ls-files -s | md5sum
	git diff --quiet HEAD && echo clean
done
git checkout -q -b work $(git rev-list HEAD | tail -1)
echo one >new.txt
ln -s new.txt link.txt
git add new.txt link.txt
git commit -q -m 'first'
echo two >>new.txt
git commit -q -a -m 'second'
git mv new.txt moved.txt
git commit -q -m 'third'
git log --format='%s %T' -3
git tag -a v1 -m 'a tag'
git push -q origin work v1
echo "push: $?"
git branch -q other HEAD~2
git checkout -q other
echo three >>new.txt
git commit -q -a -m 'conflicting'
git merge work >/dev/null 2>&1
echo "merge: $?"
git status --short | head -5
git reset -q --hard
git rebase -q work >/dev/null 2>&1
echo "rebase: $?"
git rebase --abort
git stash list | wc -l
git -C ../origin.git rev-parse work
git archive work | tar tf - | wc -l

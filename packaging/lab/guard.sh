# Ends one lab: bash -c guard.sh NAME DIR PROGRAM…
#
# Waits until standard input closes, then ends every process that runs one of
# the PROGRAMs and belongs to the folder DIR, and removes DIR. "Belongs" means:
# its command line or title names something in DIR, or it has a file of DIR
# open. So FPM masters that somebody else started with the lab's configuration
# are found too, and workers whose master was killed; nothing of the host's is.
trap '' HUP INT TERM
set -u
dir=$1
shift
read -r -d '' _ # nothing is ever written: this returns when the pipe closes
cd /

belongs() { # PROC
	local proc=$1 program words
	for program in "${programs[@]}"; do
		[[ $proc/exe -ef $program ]] || continue
		mapfile -d '' -t words 2>/dev/null <"$proc/cmdline"
		[[ "${words[*]}" == *"$dir/"* ]] && return 0
		[[ -n $(find "$proc/fd" -lname "$dir/*" -print -quit 2>/dev/null) ]] && return 0
		return 1
	done
	return 1
}
programs=("$@")

signal() { # NAME; status 0 while somebody is left
	local proc found=1
	for proc in /proc/[0-9]*; do
		belongs "$proc" || continue
		found=0
		# The database is thrown away, so it need not shut down in order.
		if [[ $proc/exe -ef ${programs[-1]} ]]; then
			kill -KILL "${proc#/proc/}" 2>/dev/null
		else
			kill "-$1" "${proc#/proc/}" 2>/dev/null
		fi
	done
	return $found
}

# What a fault changed outside the folder: small disks that are mounted in it, and a
# table of the packet filter that is named after it.
undo_faults() {
	local -a fields
	while read -r -a fields; do
		[[ ${fields[4]} == "$dir"/* ]] && umount -l "${fields[4]}"
	done </proc/self/mountinfo
	[[ ! -e $dir/nft-table ]] || nft delete table inet "$(<"$dir/nft-table")" 2>/dev/null
}

# A zombie has no exe link, so what its parent has not reaped yet is not waited for.
for ((try = 0; try < 200; try++)); do
	name=TERM
	((try < 60)) || name=KILL
	if ! signal "$name"; then
		undo_faults
		rm -rf --one-file-system -- "$dir"
		# A log line written meanwhile can make the first removal fail.
		[[ ! -e $dir ]] || rm -rf --one-file-system -- "$dir"
		exit
	fi
	sleep 0.05
done
echo "processes of $dir do not end" >&2
exit 1

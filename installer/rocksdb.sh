#!/bin/bash
# Compiles RocksDB once, in a few large units, to CACHE_DIR/rocksdb/lib/librocksdb.a.
#
#   rocksdb.sh CACHE_DIR
#
# The crate `librocksdb-sys` compiles the 343 files of RocksDB one by one, and most of that time goes
# into reading the same headers 343 times: about twenty minutes on two cores. Here the same files, of
# the same crate, with the same definitions, are compiled as a few units that include many of them
# each. The crate links what it finds under ROCKSDB_LIB_DIR; it is not changed.
#
# The library is made once for each version of the crate, compiler and set of flags. Where a unit
# cannot be compiled (another compiler, too little memory) there is no library afterwards, and the
# Makefile lets the crate compile its files one by one.
set -euo pipefail
self=rocksdb
cd "$(dirname "$0")/.."
. installer/common.sh

cache=${1:?usage: rocksdb.sh CACHE_DIR}/rocksdb
UNITS=6
# Room for one compiler: the largest unit takes 1.7 GB with g++ 12.
UNIT_KB=2200000
# Units this large are compiled once: a compiler cache would only keep a copy.
CXX=${CXX:-g++}; CXX=${CXX#ccache }

# The folder of a crate's sources, as cargo resolves it here (registry, vendored or patched alike).
sources() {
  sed 's/"manifest_path"/\n&/g' <<<"$metadata" \
    | sed -n "s|^\"manifest_path\":\"\([^\"]*/$1-[0-9][^/\"]*\)/Cargo.toml\".*|\1|p;s|^\"manifest_path\":\"\([^\"]*/$1\)/Cargo.toml\".*|\1|p" | head -1
}

metadata=$(cargo metadata --format-version 1 --locked) || die "cargo could not say where the crates are (see above)"
crate=$(sources librocksdb-sys)
if ! [ -f "$crate/rocksdb_lib_sources.txt" ]; then
  say "the sources of librocksdb-sys were not found; it will be compiled file by file"
  rm -f "$cache/lib"
  exit 0
fi

flags=(-std=c++20 -O2 -fPIC -fno-omit-frame-pointer -w -include cstdint
  -DNDEBUG -DHAVE_ALIGNED_NEW -DHAVE_UINT128_EXTENSION
  -DOS_LINUX -DROCKSDB_PLATFORM_POSIX -DROCKSDB_LIB_IO_POSIX -DROCKSDB_SCHED_GETCPU_PRESENT
  -DROCKSDB_AUXV_GETAUXVAL_PRESENT -DROCKSDB_FALLOCATE_PRESENT -DROCKSDB_RANGESYNC_PRESENT
  -DLZ4=1 -DZSTD=1)
case "$(uname -m)" in x86_64) flags+=(-msse2) ;; esac
includes=(-I "$crate/rocksdb/include" -I "$crate/rocksdb" -I "$crate"
  -I "$(sources lz4-sys)/liblz4/lib" -I "$(sources zstd-sys)/zstd/lib")

key=$({ basename "$crate"; $CXX --version | head -1; uname -m; echo "${flags[*]} $UNITS"; } | sha256sum | cut -c1-16)
out=$cache/$key
if [ -f "$out/librocksdb.a" ] && [ "$(readlink "$cache/lib")" = "$key" ]; then exit 0; fi
rm -f "$cache/lib"

work=$cache/work.$$
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT

# Unit after unit is filled to its share of all the bytes, in the order of the crate's own list.
{ tr -d '\r' <"$crate/rocksdb_lib_sources.txt" | sed 's/[[:space:]]//g; /^$/d; \|^util/build_version.cc$|d; s|^|rocksdb/|'
  echo build_version.cc; } >"$work/list"
(cd "$crate" && xargs stat -c '%s %n' <"$work/list") \
  | awk -v units=$UNITS -v crate="$crate" -v dir="$work" '
      { size[NR] = $1; name[NR] = $2; total += $1 }
      END { for (i = 1; i <= NR; i++) {
              unit = int(done * units / total); done += size[i]
              printf "#include \"%s/%s\"\n", crate, name[i] > (dir "/unit" unit ".cc") } }'

free_kb=$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)
jobs=$(nproc); room=$((free_kb / UNIT_KB))
[ "$jobs" -le "$room" ] || jobs=$room
[ "$jobs" -ge 1 ] || jobs=1
say "compiling RocksDB once, in $UNITS parts, $jobs at a time: some minutes ..."
start=$SECONDS
if ! (cd "$work" && ls unit*.cc | xargs -P "$jobs" -I{} sh -c \
    '"$0" "$@" -c {} -o {}.o 2>{}.log || { tail -5 {}.log >&2; exit 255; }' "$CXX" "${flags[@]}" "${includes[@]}"); then
  say "RocksDB could not be compiled in large parts (see above); it will be compiled file by file"
  exit 0
fi
ar crs "$work/librocksdb.a" "$work"/unit*.o
mkdir -p "$out"
mv "$work/librocksdb.a" "$out/librocksdb.a"
ln -s "$key" "$cache/lib"
# What other versions and compilers left behind.
find "$cache" -mindepth 1 -maxdepth 1 -type d ! -name "$key" ! -name "work.*" -exec rm -rf {} +
say "RocksDB compiled in $((SECONDS - start)) s"

//! Crashes at every point, rotations on both sides, full disks, lines the engine cuts.

use std::{
    os::unix::fs::{MetadataExt as _, symlink},
    path::Path,
};

use bytes::Bytes;

use super::*;
use crate::base::clock::Timestamp;

/// Opens the output of a sandbox `box` below `dir`.
fn open(dir: &Path) -> Output {
    for name in ["out", "box"] {
        drop(fs::create_dir(dir.join(name)));
    }
    let files =
        Files { dir: dir.join("out"), sandbox: dir.join("box"), mark: dir.join("mark.json") };
    Output::open(&files).unwrap()
}

fn piece(n: u64, at: u64) -> LogPiece {
    let at = format!("2026-01-01T00:00:{at:02}.000000000Z");
    LogPiece {
        is_stderr: n % 7 == 3,
        at,
        bytes: Bytes::from(format!("line {n}\n")),
        loses_breaks: true,
    }
}

/// Pieces come three to a time stamp, now and then one comes late.
fn all(n: u64) -> Vec<LogPiece> {
    let mut pieces: Vec<LogPiece> = (0..n).map(|i| piece(i, i / 3 + i / 9)).collect();
    pieces.swap(5, 6);
    pieces
}

fn text(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join("out").join(name)).unwrap_or_default()
}

#[test]
fn a_follower_killed_at_any_point_loses_and_doubles_nothing() {
    let pieces = all(20);
    let side = |stderr| -> String {
        pieces
            .iter()
            .filter(|p| p.is_stderr == stderr)
            .map(|p| String::from_utf8_lossy(&p.bytes).into_owned())
            .collect()
    };
    for marked in 0..20 {
        for killed in marked..20 {
            let temp = tempfile::tempdir().unwrap();
            let mut first = open(temp.path());
            first.take(&pieces[..marked]).unwrap();
            first.save_mark().unwrap();
            first.take(&pieces[marked..killed]).unwrap();
            drop(first);
            let mut second = open(temp.path());
            let since = i64::from(second.since());
            let again = |p: &&LogPiece| Timestamp::parse(&p.at).unwrap().as_ms() / 1000 >= since;
            let sent: Vec<LogPiece> = pieces.iter().filter(again).cloned().collect();
            second.take(&sent).unwrap();
            assert_eq!(text(temp.path(), "stdout"), side(false), "{marked} {killed}");
            assert_eq!(text(temp.path(), "stderr"), side(true), "{marked} {killed}");
        }
    }
}

#[test]
fn pieces_the_engine_threw_away_are_not_waited_for() {
    let temp = tempfile::tempdir().unwrap();
    let pieces: Vec<LogPiece> = (0..20).map(|i| piece(i * 7, i)).collect();
    let mut first = open(temp.path());
    first.take(&pieces[..10]).unwrap();
    first.save_mark().unwrap();
    open(temp.path()).take(&pieces[12..]).unwrap();
    let lines: Vec<u64> = (0..20).filter(|i| !(10..12).contains(i)).map(|i| i * 7).collect();
    let expected: String = lines.iter().map(|n| format!("line {n}\n")).collect();
    assert_eq!(text(temp.path(), "stdout"), expected);
}

#[test]
fn files_rotate_and_go_on_after_a_crash() {
    let temp = tempfile::tempdir().unwrap();
    let big = Bytes::from(vec![b'x'; 1 << 20]);
    let piece = |n: u64| LogPiece {
        is_stderr: false,
        at: format!("2026-01-01T00:{:02}:00.000000000Z", n),
        bytes: big.clone(),
        loses_breaks: false,
    };
    let n_max = limit::LOG_FILE_BYTES_MAX >> 20;
    let pieces: Vec<LogPiece> = (0..n_max + 3).map(piece).collect();
    let mut output = open(temp.path());
    output.take(&pieces[..pieces.len() - 1]).unwrap();
    drop(output);
    let len = |name: &str| fs::metadata(temp.path().join("out").join(name)).unwrap().len();
    assert_eq!(len("stdout.1"), limit::LOG_FILE_BYTES_MAX);
    open(temp.path()).take(&pieces).unwrap();
    assert_eq!(len("stdout"), 3 << 20);
    // Each file has the times of what is in it: every piece here is a minute after the other.
    assert_eq!(len(".stdout.1.times"), n_max * times::RECORD_BYTES as u64);
    assert_eq!(len(".stdout.times"), 3 * times::RECORD_BYTES as u64);
}

/// A piece at `ns` nanoseconds of a second.
fn at(ns: u64, bytes: &[u8]) -> LogPiece {
    let at = format!("2026-01-01T00:00:01.{ns:09}Z");
    LogPiece { is_stderr: false, at, bytes: Bytes::copy_from_slice(bytes), loses_breaks: true }
}

#[test]
fn what_the_engine_sends_again_after_its_rotation_is_taken_once() {
    for n_again in [1, 3, 10] {
        let temp = tempfile::tempdir().unwrap();
        let pieces: Vec<LogPiece> =
            (0..20).map(|i| at(i, format!("line {i}\n").as_bytes())).collect();
        let mut output = open(temp.path());
        output.take(&pieces[..12]).unwrap();
        output.take(&pieces[12 - n_again..15]).unwrap();
        // A clock that goes back is no repetition.
        output
            .take(&[at(2, b"other\n")].map(|p| LogPiece { at: p.at.replace("01.", "00."), ..p }))
            .unwrap();
        output.take(&pieces[15..]).unwrap();
        let mut expected: Vec<String> = (0..20).map(|i| format!("line {i}\n")).collect();
        expected.insert(15, "other\n".to_owned());
        assert_eq!(text(temp.path(), "stdout"), expected.concat(), "{n_again}");
    }
}

#[test]
fn a_repetition_that_begins_again_is_still_one() {
    let pieces: Vec<LogPiece> = (0..30).map(|i| at(i, format!("line {i}\n").as_bytes())).collect();
    let temp = tempfile::tempdir().unwrap();
    let mut output = open(temp.path());
    output.take(&pieces[..20]).unwrap();
    output.take(&pieces[8..12]).unwrap();
    output.take(&pieces[8..16]).unwrap();
    output.take(&pieces[8..]).unwrap();
    let expected: String = (0..30).map(|i| format!("line {i}\n")).collect();
    assert_eq!(text(temp.path(), "stdout"), expected);
}

#[test]
fn what_comes_twice_among_the_known_pieces_is_counted_once() {
    let pieces: Vec<LogPiece> = (0..30).map(|i| at(i, format!("line {i}\n").as_bytes())).collect();
    for n_before in [1, 7, 12, 20] {
        let temp = tempfile::tempdir().unwrap();
        let mut output = open(temp.path());
        output.take(&pieces[..20]).unwrap();
        // The stream breaks, and while the next one repeats what is known the engine rotates.
        output.rewind();
        output.take(&pieces[..n_before]).unwrap();
        output.take(&pieces).unwrap();
        let expected: String = (0..30).map(|i| format!("line {i}\n")).collect();
        assert_eq!(text(temp.path(), "stdout"), expected, "{n_before}");
    }
}

#[test]
fn lines_the_engine_cuts_are_whole_again_byte_for_byte() {
    let full = |byte: u8| vec![byte; PART_BYTES];
    let (a, b) = (full(0xe9), full(b'b'));
    let temp = tempfile::tempdir().unwrap();
    let pieces = [
        at(1, &a),
        at(1, &b),
        at(1, b"end of the first"),
        at(2, b"short\n"),
        at(3, &a),
        at(3, b""), // exactly as long as a part
        at(4, &a),
        at(4, b"end of the last"),
    ];
    let expected =
        [&a[..], &b, b"end of the first\nshort\n", &a, b"\n", &a, b"end of the last\n"].concat();
    // A crash between any two of them changes nothing.
    for killed in 0..=pieces.len() {
        let temp = tempfile::tempdir().unwrap();
        let mut first = open(temp.path());
        first.take(&pieces[..killed / 2]).unwrap();
        first.save_mark().unwrap();
        first.take(&pieces[killed / 2..killed]).unwrap();
        let mut second = open(temp.path());
        second.take(&pieces).unwrap();
        second.finish().unwrap();
        let mut third = open(temp.path());
        third.take(&pieces).unwrap();
        third.finish().unwrap();
        let found = fs::read(temp.path().join("out/stdout")).unwrap();
        assert!(found == expected, "killed after {killed}: {} bytes", found.len());
    }
    // What never had a line break gets none.
    let mut output = open(temp.path());
    output.take(&[at(1, b"prompt> ")]).unwrap();
    output.finish().unwrap();
    assert_eq!(text(temp.path(), "stdout"), "prompt> ");
}

#[test]
fn links_in_the_sandbox_lead_nowhere() {
    let temp = tempfile::tempdir().unwrap();
    let host = temp.path().join("host");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("old"), "the node's").unwrap();
    let sandbox = temp.path().join("box");
    fs::create_dir(&sandbox).unwrap();
    let plant = || {
        for (name, target) in [("stdout", "old"), ("stdout.1", "new"), ("stderr", "new")] {
            symlink(host.join(target), sandbox.join("t")).unwrap();
            fs::rename(sandbox.join("t"), sandbox.join(name)).unwrap();
        }
    };
    let untouched = || {
        assert_eq!(fs::read_to_string(host.join("old")).unwrap(), "the node's");
        assert_eq!(fs::metadata(host.join("old")).unwrap().nlink(), 1);
        assert!(!host.join("new").exists());
    };
    // Out of an archive, before anything is written.
    plant();
    let mut output = open(temp.path());
    output.take(&[at(1, b"one\n")]).unwrap();
    assert_eq!(fs::read_to_string(sandbox.join("stdout")).unwrap(), "one\n");
    untouched();
    // By the task, before a rotation and before a restart.
    plant();
    let mut big = vec![b'x'; usize::try_from(limit::LOG_FILE_BYTES_MAX).unwrap()];
    big.push(b'\n');
    let all = [at(1, b"one\n"), at(2, &big), at(3, b"two\n"), at(4, b"three\n")];
    output.take(&all[1..3]).unwrap();
    drop(output);
    untouched();
    plant();
    let mut output = open(temp.path());
    output.take(&all).unwrap();
    untouched();
    let first = fs::metadata(temp.path().join("out/stdout.1")).unwrap();
    assert_eq!(first.len(), 5 + limit::LOG_FILE_BYTES_MAX);
    assert_eq!(fs::read_to_string(sandbox.join("stdout")).unwrap(), "two\nthree\n");
}

#[test]
fn a_rotation_is_seen_in_the_sandbox() {
    let temp = tempfile::tempdir().unwrap();
    let big = vec![b'x'; usize::try_from(limit::LOG_FILE_BYTES_MAX).unwrap()];
    let mut output = open(temp.path());
    for n in 1..=3 {
        output.take(&[at(n * 2, &big), at(n * 2 + 1, b"after\n")]).unwrap();
        for name in ["stdout", "stdout.1", "stderr"] {
            let ino = |dir: &str| fs::metadata(temp.path().join(dir).join(name)).unwrap().ino();
            assert_eq!(ino("out"), ino("box"), "{name} {n}");
        }
    }
    fs::remove_file(temp.path().join("box/stderr")).unwrap();
    drop(open(temp.path()));
    assert!(temp.path().join("box/stderr").exists(), "a name that is gone comes back");
}

#[test]
fn a_disk_that_takes_nothing_is_a_crash_that_loses_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let pieces: Vec<LogPiece> = (0..20).map(|i| at(i, format!("line {i}\n").as_bytes())).collect();
    let mut output = open(temp.path());
    output.take(&pieces[..5]).unwrap();
    output.save_mark().unwrap();
    output.take(&pieces[5..8]).unwrap();
    // Half of a piece found room.
    drop(output);
    let stdout = temp.path().join("out/stdout");
    let len = fs::metadata(&stdout).unwrap().len();
    fs::OpenOptions::new().write(true).open(&stdout).unwrap().set_len(len - 3).unwrap();
    open(temp.path()).take(&pieces).unwrap();
    let expected: String = (0..20).map(|i| format!("line {i}\n")).collect();
    assert_eq!(text(temp.path(), "stdout"), expected);
}

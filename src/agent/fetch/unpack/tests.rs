//! Every packing, and what an archive must not be able to do.

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _};

use super::*;

fn tar_of(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        // Written by hand: the library refuses to make what we must refuse to read.
        let bytes = &mut header.as_old_mut().name;
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        if *kind == tar::EntryType::Regular {
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        } else {
            let link = &mut header.as_old_mut().linkname;
            link[..content.len()].copy_from_slice(content.as_bytes());
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, io::empty()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    e.write_all(bytes).unwrap();
    e.finish().unwrap()
}

fn unpacked(name: &str, bytes: &[u8]) -> (tempfile::TempDir, Result<(), UnpackError>) {
    let temp = tempfile::tempdir().unwrap();
    let sandbox = temp.path().join("sandbox");
    fs::create_dir(&sandbox).unwrap();
    fs::write(sandbox.join(name), bytes).unwrap();
    let outcome =
        unpack(&File::open(sandbox.join(name)).unwrap(), name, &Dir::open(&sandbox).unwrap(), None);
    (temp, outcome)
}

#[test]
fn every_packing() {
    use tar::EntryType::Regular;
    let tar = tar_of(&[("d/hello.sh", Regular, "hi")]);
    let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bz.write_all(&tar).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&tar).unwrap();
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    zip.start_file("d/hello.sh", options).unwrap();
    zip.write_all(b"hi").unwrap();
    let bytes = [
        ("a.tar", tar.clone()),
        ("a.tgz", gz(&tar)),
        ("a.tar.bz2", bz.finish().unwrap()),
        ("a.txz", xz.finish().unwrap()),
        ("a.zip", zip.finish().unwrap().into_inner()),
    ];
    for (name, bytes) in bytes {
        let (temp, outcome) = unpacked(name, &bytes);
        outcome.unwrap();
        let file = temp.path().join("sandbox/d/hello.sh");
        assert_eq!(fs::read_to_string(&file).unwrap(), "hi", "{name}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o755, "{name}");
    }
    let (temp, outcome) = unpacked("notes.txt.gz", &gz(b"n"));
    outcome.unwrap();
    assert_eq!(fs::read_to_string(temp.path().join("sandbox/notes.txt")).unwrap(), "n");
}

#[test]
fn nothing_lands_outside() {
    use tar::EntryType::{Link, Regular, Symlink};
    for entries in [
        &[("../evil", Regular, "x")][..],
        &[("/evil", Regular, "x")],
        &[("up", Symlink, ".."), ("up/evil", Regular, "x")],
        &[("passwd", Link, "../../etc/passwd")],
        &[("up", Symlink, ".."), ("evil", Link, "up/secret")],
    ] {
        let (temp, outcome) = unpacked("a.tar", &tar_of(entries));
        assert!(outcome.is_err(), "{entries:?}");
        assert!(!temp.path().join("evil").exists(), "{entries:?}");
    }
    // A later entry replaces a link instead of writing through it.
    let entries = [("f", Symlink, "../evil"), ("f", Regular, "x")];
    let (temp, outcome) = unpacked("a.tar", &tar_of(&entries));
    outcome.unwrap();
    assert!(!temp.path().join("evil").exists());
    assert_eq!(fs::read_to_string(temp.path().join("sandbox/f")).unwrap(), "x");
}

#[test]
fn a_damaged_archive_is_an_error() {
    for name in ["a.tgz", "a.zip", "a.tar.xz", "a.tbz2", "a.gz"] {
        assert!(unpacked(name, b"not an archive").1.is_err(), "{name}");
    }
    assert!(unpacked("a.txt", b"no archive at all").1.is_ok());
}

/// The header of an entry that claims `size` bytes.
fn header(kind: tar::EntryType, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..4].copy_from_slice(b"name");
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn headers_are_not_taken_into_memory_whatever_they_claim() {
    use tar::EntryType::{GNULongLink, GNULongName, XHeader};
    for kind in [GNULongName, GNULongLink, XHeader] {
        // Three gigabytes claimed; a hundredth of that is there and packs to nothing.
        let mut bytes = header(kind, 3 << 30);
        bytes.resize(32 << 20, b'x');
        let (_temp, outcome) = unpacked("a.tgz", &gz(&bytes));
        let error = crate::base::error::chain(&outcome.unwrap_err());
        assert!(error.contains("too long"), "{kind:?}: {error}");
    }
    // Many small ones before one entry are one long one.
    let mut bytes = Vec::new();
    for _ in 0..200 {
        bytes.extend(header(GNULongName, 100));
        bytes.resize(bytes.len() + 512, b'x');
    }
    assert!(unpacked("a.tar", &bytes).1.is_err());
    // A name as long as a path may be is a name.
    let mut builder = tar::Builder::new(Vec::new());
    let long = vec!["d".repeat(200); 18].join("/");
    let mut head = tar::Header::new_gnu();
    head.set_size(2);
    head.set_mode(0o644);
    builder.append_data(&mut head, &long, &b"hi"[..]).unwrap();
    let (temp, outcome) = unpacked("a.tar", &builder.into_inner().unwrap());
    outcome.unwrap();
    let dir = Dir::open(&temp.path().join("sandbox")).unwrap();
    assert_eq!(dir.read(Path::new(&long), 9).unwrap(), b"hi");
}

#[test]
fn entries_and_bytes_are_counted() {
    use tar::EntryType::Regular;
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open(temp.path()).unwrap();
    let limited = |left, entries_left| Into { dir: &dir, owner: None, left, entries_left };
    let tar = tar_of(&[("a/b/c", Regular, "123"), ("d", Regular, "45")]);
    let unpack = |left, n| limited(left, n).tar(Meter::new(&tar[..]));
    unpack(5, 4).unwrap();
    assert!(matches!(unpack(4, 9), Err(UnpackError::TooLarge)));
    assert!(matches!(unpack(9, 1), Err(UnpackError::TooMany)));
    fs::remove_dir_all(temp.path().join("a")).unwrap();
    assert!(matches!(unpack(9, 3), Err(UnpackError::TooMany)), "directories on the way count");
    // Content that nobody asked for counts as well.
    let mut skipped = header(tar::EntryType::Char, 100);
    skipped.resize(1024, 0);
    let outcome = limited(99, 9).tar(Meter::new(&skipped[..]));
    assert!(matches!(outcome, Err(UnpackError::TooLarge)));
}

#[test]
fn a_dictionary_that_does_not_fit_is_refused() {
    let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
    options.dict_size(256 << 20);
    let mut filters = liblzma::stream::Filters::new();
    filters.lzma2(&options);
    let check = liblzma::stream::Check::Crc32;
    let stream = liblzma::stream::Stream::new_stream_encoder(&filters, check).unwrap();
    let mut xz = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    xz.write_all(&tar_of(&[("a", tar::EntryType::Regular, "x")])).unwrap();
    assert!(unpacked("a.tar.xz", &xz.finish().unwrap()).1.is_err());
}

//! What a host is given: the installer's scripts, which are part of this program, and the program itself.
//!
//! The same files make the archive that `install.sh` works from on a machine without ssh (`make archive`).

use std::{
    fs,
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

use crate::{
    base::hex,
    cli::{
        error::{CliError, Outcome},
        output::Printer,
    },
};

/// A file of the source tree, at the same place in the archive.
macro_rules! shipped {
    ($($mode:literal $path:literal,)*) => {
        &[$(($path, $mode, include_str!(concat!("../../../", $path))),)*]
    };
}

/// Everything but the program.
const SHIPPED: &[(&str, u32, &str)] = shipped![
    0o755 "installer/install.sh",
    0o644 "installer/preflight.sh",
    0o755 "packaging/install.sh",
    0o644 "packaging/tepui.service",
    0o644 "packaging/tepui.default",
    0o644 "packaging/README.md",
    0o644 "config/tepui.yaml",
    0o644 "LICENSE",
];
/// 2026-01-01: the same files are the same bytes, and `tar` finds 1970 implausible.
const MTIME_S: u64 = 1_767_225_600;
/// Where the program lies in it.
pub const PROGRAM: &str = "bin/tepui";

/// A file on its way into an archive.
pub struct Entry {
    pub path: String,
    pub mode: u32,
    pub bytes: Vec<u8>,
}

impl Entry {
    pub fn new(path: impl Into<String>, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), mode, bytes: bytes.into() }
    }
}

/// The scripts, as they are packed into this program.
pub fn scripts() -> Vec<Entry> {
    SHIPPED.iter().map(|(path, mode, text)| Entry::new(*path, *mode, *text)).collect()
}

/// Packs files.
pub fn pack(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for entry in entries {
        append(&mut archive, &entry.path, entry.mode, &entry.bytes[..])?;
    }
    archive.into_inner()?.finish()
}

/// The program that hosts get.
pub struct Program {
    bytes: Vec<u8>,
    /// By which it is known on hosts.
    pub sum: String,
}

impl Program {
    /// Reads the one at `path`, else the one that runs.
    pub fn read(path: Option<&Path>) -> Outcome<Self> {
        let path = located(path)?;
        let bytes = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        let sum = hex::hex(&Sha256::digest(&bytes));
        Ok(Self { bytes, sum })
    }

    pub fn n_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// As it goes over the wire, made once for all hosts.
    pub fn packed(&self) -> io::Result<Vec<u8>> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(&self.bytes)?;
        packer.finish()
    }
}

fn located(path: Option<&Path>) -> Outcome<PathBuf> {
    match path {
        Some(path) => Ok(path.to_owned()),
        None => std::env::current_exe().map_err(|error| {
            CliError::failure(format!("this program does not find itself: {error}"))
                .hint("name the program for the hosts: --binary FILE")
        }),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> CliError {
    CliError::failure(format!("{} cannot be read: {error}", path.display()))
}

/// Writes the archive that `install.sh --archive` takes; `extras` are folders whose files go along.
pub fn archive(
    to: Option<&Path>,
    program: Option<&Path>,
    extras: &[(&str, Option<&Path>)],
    printer: &mut Printer,
) -> Outcome {
    let root = format!("tepui-{}", env!("CARGO_PKG_VERSION"));
    let usual = format!("{root}-{}.tar.gz", std::env::consts::ARCH);
    let to = match to {
        Some(to) if to.is_dir() => to.join(&usual),
        Some(to) => to.to_owned(),
        None => PathBuf::from(&usual),
    };
    let beside = to.with_extension("new");
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).open(&beside);
    let file = file.map_err(|error| {
        CliError::failure(format!("{} cannot be written: {error}", beside.display()))
    })?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    let mut sums = String::new();
    for Entry { path, mode, bytes } in scripts() {
        sums += &format!("{}  {path}\n", hex::hex(&Sha256::digest(&bytes)));
        append(&mut archive, &format!("{root}/{path}"), mode, &bytes[..])?;
    }
    let mut files = vec![(PROGRAM.to_owned(), 0o755, located(program)?)];
    for (folder, from) in extras {
        let Some(from) = from else { continue };
        let entries = fs::read_dir(from).map_err(|error| unreadable(from, &error))?;
        let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        found.sort();
        let named = |path: PathBuf| {
            let name = path.file_name()?.to_str()?.to_owned();
            path.is_file().then(|| (format!("{folder}/{name}"), 0o644, path))
        };
        files.extend(found.into_iter().filter_map(named));
    }
    for (path, mode, from) in files {
        let sum = sum_of(&from).map_err(|error| unreadable(&from, &error))?;
        sums += &format!("{sum}  {path}\n");
        let file = fs::File::open(&from).map_err(|error| unreadable(&from, &error))?;
        let n_bytes = file.metadata()?.len();
        let mut header = header(mode, n_bytes);
        archive.append_data(&mut header, format!("{root}/{path}"), file)?;
    }
    append(&mut archive, &format!("{root}/SHA256SUMS"), 0o644, sums.as_bytes())?;
    let mut link = header(0o777, 0);
    link.set_entry_type(tar::EntryType::Symlink);
    archive.append_link(&mut link, format!("{root}/install.sh"), "installer/install.sh")?;
    archive.into_inner()?.finish()?.sync_all()?;
    fs::rename(&beside, &to)?;
    Ok(printer.line(&to.display().to_string())?)
}

fn sum_of(path: &Path) -> io::Result<String> {
    let (mut file, mut hash) = (fs::File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn header(mode: u32, n_bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(n_bytes);
    header.set_mtime(MTIME_S);
    header
}

fn append<W: Write>(
    archive: &mut tar::Builder<W>,
    path: &str,
    mode: u32,
    bytes: &[u8],
) -> io::Result<()> {
    archive.append_data(&mut header(mode, bytes.len() as u64), path, bytes)
}

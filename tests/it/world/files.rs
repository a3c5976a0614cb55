//! What is in the sandboxes of a made-up world.

use tepui::{
    agent::sandbox::search::Wanted,
    model::link::{Answer, AskError, FileEntry},
};

use super::{START, World};

impl World {
    pub(super) fn list(&self, path: &str) -> Vec<FileEntry> {
        let files = self.files.lock();
        let here = files.iter().filter(|(p, _)| p.rsplit_once('/').map_or("", |(d, _)| d) == path);
        here.map(|(path, bytes)| FileEntry {
            path: path.clone(),
            is_dir: false,
            bytes: bytes.len() as u64,
            modified_at: START,
            mode: 0o644,
            links: 1,
            uid: 0,
            gid: 0,
        })
        .collect()
    }

    pub(super) fn read(
        &self,
        path: &str,
        offset: Option<i64>,
        max: u32,
    ) -> Result<Answer, AskError> {
        let files = self.files.lock();
        let all = files.get(path).ok_or_else(|| AskError::NotFound(path.to_owned()))?;
        let from = match offset {
            Some(o) if o < 0 => all.len().saturating_sub(usize::try_from(-o).unwrap()),
            Some(o) => usize::try_from(o).unwrap().min(all.len()),
            None => all.len(),
        };
        let to = all.len().min(from + max as usize);
        let (offset, size) = (from as u64, all.len() as u64);
        Ok(Answer::File { offset, size, bytes: all[from..to].to_vec() })
    }

    pub(super) fn search(&self, path: &str, wanted: &Wanted) -> Result<Answer, AskError> {
        let files = self.files.lock();
        let all = files.get(path).ok_or_else(|| AskError::NotFound(path.to_owned()))?;
        let answer = wanted.search(&mut std::io::Cursor::new(all), all.len() as u64);
        Ok(answer.expect("bytes in memory"))
    }
}

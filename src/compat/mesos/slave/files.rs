//! Files of sandboxes by the paths clients know:
//! `[…/slaves/<agent>]/frameworks/<id>/executors/<executor>/runs/<container or latest>/<path>`.
//!
//! An executor is a task id, or an instance id. Whether there is such a task, and whether the path
//! leads to a file of its sandbox, only the agent decides.

use std::sync::Arc;

use http::StatusCode;

use super::{Refusal, Slaves, other_answer, written};
use crate::{
    base::limit,
    compat::mesos::{json::Json, marathon_id, task},
    control::cluster::Error,
    http::{Call, Response, download, reply},
    model::{
        InstanceId, NodeId,
        link::{Answer, AskError, FileEntry, Question},
    },
};

/// Bytes one `/files/read` answers at most: 16 pages, as the original.
const READ_BYTES_MAX: u32 = 64 << 10;

/// A place in a sandbox.
#[derive(Debug, PartialEq)]
struct Place {
    instance: InstanceId,
    /// `None` where the executor is named by its instance.
    incarnation: Option<u32>,
    /// Relative to the sandbox.
    path: String,
}

impl Place {
    /// Understands a path of framework `framework` on agent `node`.
    fn parse(path: &str, node: &NodeId, framework: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let from = parts.iter().position(|part| *part == "frameworks")?;
        if let [.., "slaves", id] = parts[..from] {
            (id == node.as_str()).then_some(())?;
        }
        let ["frameworks", id, "executors", executor, "runs", run, rest @ ..] = &parts[from..]
        else {
            return None;
        };
        let leads_out = rest.contains(&"..") || path.contains('\0');
        (*id == framework && !leads_out).then_some(())?;
        let path = rest.join("/");
        let Some((instance, incarnation)) = task::of_app(executor) else {
            let instance = InstanceId::from(*executor);
            return Some(Self { instance, incarnation: None, path });
        };
        let own = task::container_id_of(instance, incarnation, "", executor);
        (*run == "latest" || *run == own).then_some(())?;
        let instance = InstanceId::from(instance);
        Some(Self { instance, incarnation: Some(incarnation), path })
    }
}

/// A request about a path.
struct Asked {
    node: NodeId,
    place: Place,
    /// The path as it was sent, without slashes at its end.
    text: String,
}

impl Asked {
    fn of(slaves: &Slaves, call: &Call) -> Result<Self, Refusal> {
        let (state, node) = slaves.node(call.param("id"))?;
        let query = call.query();
        let path = query.get("path").filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| Refusal::Bad("Expecting 'path=value' in query.".into()))?;
        let place = Place::parse(path, node.id(), &marathon_id(&state)).ok_or(Refusal::Missing)?;
        Ok(Self { node: node.id().clone(), place, text: path.trim_end_matches('/').to_owned() })
    }

    /// Up to `bytes_max` bytes from `offset`, and how long the file is; without an offset only that.
    async fn read(
        &self,
        slaves: &Slaves,
        offset: Option<u64>,
        bytes_max: u32,
    ) -> Result<(u64, Vec<u8>), Refusal> {
        let offset = offset.map(|offset| i64::try_from(offset).unwrap_or(i64::MAX));
        let Place { instance, incarnation, path } = &self.place;
        let (instance, incarnation) = (instance.clone(), *incarnation);
        let path = path.clone();
        let question = Question::ReadFile { instance, incarnation, path, offset, bytes_max };
        match slaves.cluster.ask(&self.node, question).await.map_err(refused)? {
            Answer::File { size, bytes, .. } => Ok((size, bytes)),
            _ => Err(other_answer()),
        }
    }
}

fn refused(error: Error) -> Refusal {
    match error {
        Error::Unanswered(AskError::NotFound(_)) => Refusal::Missing,
        Error::Unanswered(AskError::Invalid(text)) => Refusal::Bad(text),
        error => Refusal::Away(error),
    }
}

/// `/files/browse?path=`.
pub async fn browse(slaves: Arc<Slaves>, call: Call) -> Result<Response, Refusal> {
    let asked = Asked::of(&slaves, &call)?;
    let Place { instance, incarnation, path } = &asked.place;
    let (instance, incarnation, path) = (instance.clone(), *incarnation, path.clone());
    let question = Question::ListFiles { instance, incarnation, path };
    let answer = slaves.cluster.ask(&asked.node, question).await.map_err(refused)?;
    let Answer::Files(mut entries) = answer else { return Err(other_answer()) };
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let write = |j: &mut Json<'_>| j.list(|j| entries.iter().for_each(|e| entry(j, &asked, e)));
    Ok(written(&call, write))
}

fn entry(j: &mut Json<'_>, asked: &Asked, entry: &FileEntry) {
    let name = entry.path.rsplit('/').next().unwrap_or_default();
    j.object(|j| {
        j.text_at("path", &format!("{}/{name}", asked.text));
        j.int_at("nlink", entry.links);
        j.int_at("size", entry.bytes);
        j.int_at("mtime", u64::try_from(entry.modified_at.as_ms() / 1000).unwrap_or(0));
        j.text_at("mode", &entry.mode_text());
        j.text_at("uid", &entry.uid.to_string());
        j.text_at("gid", &entry.gid.to_string());
    });
}

/// `/files/read?path=&offset=&length=`: without an offset how long the file is.
pub async fn read(slaves: Arc<Slaves>, call: Call) -> Result<Response, Refusal> {
    let asked = Asked::of(&slaves, &call)?;
    let offset = number(&call, "offset")?;
    let length = number(&call, "length")?.unwrap_or(u64::from(READ_BYTES_MAX));
    let bytes_max = u32::try_from(length).unwrap_or(u32::MAX).min(READ_BYTES_MAX);
    let (size, bytes) = match offset {
        // Nobody has to be asked for no bytes at all, but for whether the file is there.
        Some(offset) if bytes_max > 0 => asked.read(&slaves, Some(offset), bytes_max).await?,
        _ => asked.read(&slaves, None, 0).await?,
    };
    let write = |j: &mut Json<'_>| {
        j.object(|j| {
            j.bytes_at("data", &bytes);
            j.int_at("offset", offset.unwrap_or(size).min(size));
        });
    };
    Ok(written(&call, write))
}

/// A number of the query; absent and -1 are `None`.
fn number(call: &Call, name: &str) -> Result<Option<u64>, Refusal> {
    let query = call.query();
    let Some(text) = query.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let number: Result<i64, _> = text.parse();
    match number {
        Ok(-1) => Ok(None),
        Ok(number) => u64::try_from(number)
            .map(Some)
            .map_err(|_| Refusal::Bad(format!("Negative {name} provided: {number}."))),
        Err(_) => Err(Refusal::Bad(format!("Failed to parse {name}: '{text}'."))),
    }
}

/// `/files/download?path=`: the whole file, piece by piece.
pub async fn download(slaves: Arc<Slaves>, call: Call) -> Result<Response, Refusal> {
    const PIECE_BYTES: u32 = limit::FILE_READ_BYTES_MAX as u32;
    let asked = Arc::new(Asked::of(&slaves, &call)?);
    let (size, first) = asked.read(&slaves, Some(0), PIECE_BYTES).await?;
    let name = asked.text.rsplit('/').next().unwrap_or("file").to_owned();
    let tasks = slaves.tasks.clone();
    Ok(download::response(&tasks, &name, size, first, move |from| {
        let (slaves, asked) = (slaves.clone(), asked.clone());
        async move { Some(asked.read(&slaves, Some(from), PIECE_BYTES).await.ok()?.1) }
    }))
}

/// `/files/debug`: virtual paths and what they stand for; there is nothing behind ours to tell.
pub async fn debug(slaves: Arc<Slaves>, call: Call) -> Result<Response, Refusal> {
    slaves.node(call.param("id"))?;
    Ok(reply::content(StatusCode::OK, "application/json", "{}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sandboxes_are_found_by_every_path_clients_make() {
        let node = NodeId::from("c-S0");
        let uuid = "11111111-2222-4333-8444-555555555555";
        let task = format!("a_b.instance-{uuid}._app.1");
        let parse = |path: &str| Place::parse(path, &node, "c-0001");
        let place = |path: &str| {
            let instance = InstanceId::from(format!("a_b.instance-{uuid}"));
            Some(Place { instance, incarnation: Some(1), path: path.to_owned() })
        };
        let run = format!("/frameworks/c-0001/executors/{task}/runs");
        assert_eq!(parse(&format!("{run}/latest/stdout")), place("stdout"));
        assert_eq!(parse(&format!("{run}/{uuid}")), place(""));
        let whole = format!("/var/lib/mesos/slave/slaves/c-S0{run}/{uuid}//a/b/");
        assert_eq!(parse(&whole), place("a/b"));
        let second = task.replace("_app.1", "_app.2");
        let path = format!("/frameworks/c-0001/executors/{second}/runs/latest/x");
        assert_eq!(parse(&path).unwrap().incarnation, Some(2));
        for wrong in [
            format!("{run}/22222222-2222-4333-8444-555555555555/stdout"),
            format!("/slaves/c-S1{run}/latest/stdout"),
            format!("/frameworks/c-0002/executors/{task}/runs/latest/stdout"),
            format!("{run}/latest/../../x"),
            run,
            "/etc/passwd".to_owned(),
            String::new(),
        ] {
            assert_eq!(parse(&wrong), None, "{wrong}");
        }
    }
}

//! What a drain of a node would do: each instance with where it would go, or why nowhere.

use serde::Serialize;

use super::{
    View,
    lookup::{main, volumes},
};
use crate::{
    base::units::count,
    core::place::preview::{self, Fate},
    model::{Instance, Node},
};

/// `DrainPreview` of the contract.
#[derive(Serialize)]
pub struct Preview<'a> {
    node_id: &'a str,
    host: &'a str,
    sentence: String,
    moves: usize,
    no_place: usize,
    instances: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<String>,
    app_id: &'a str,
    fate: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_node_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    /// Persistent volumes that do not come along.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    leaves_volumes: Vec<&'a str>,
}

/// The preview of one node's drain.
pub fn preview<'a>(view: &View<'a>, node: &'a Node) -> Preview<'a> {
    let fates = preview::drain(view.state, node, view.now, &view.cluster.limits());
    let n = |is: fn(&Fate) -> bool| fates.iter().filter(|(_, fate)| is(fate)).count();
    let (moves, no_place) =
        (n(|f| matches!(f, Fate::Moves { .. })), n(|f| matches!(f, Fate::NoPlace { .. })));
    let stops = n(|f| matches!(f, Fate::Stops));
    let others = fates.len() - moves - no_place - stops;
    Preview {
        node_id: node.id().as_str(),
        host: &node.info.hostname,
        sentence: sentence(moves, no_place, stops, others),
        moves,
        no_place,
        instances: fates.into_iter().map(|(instance, fate)| row(view, instance, fate)).collect(),
    }
}

fn row<'a>(view: &View<'a>, instance: &'a Instance, fate: Fate) -> Row<'a> {
    let mut row = Row {
        id: instance.id.as_str(),
        task_id: (instance.incarnation > 0).then(|| instance.task_id(main(view.state, instance))),
        app_id: instance.app().map_or("", |app| app.as_str()),
        fate: "ends",
        to_node_id: None,
        to_host: None,
        because: None,
        leaves_volumes: Vec::new(),
    };
    match fate {
        Fate::Moves { to } => {
            row.fate = "moves";
            row.to_host = view.state.nodes.get(&to).map(|node| node.info.hostname.as_str());
            row.to_node_id = Some(to.to_string());
            let spec = view.state.spec_of(instance);
            row.leaves_volumes =
                spec.into_iter().flat_map(|s| volumes(s)).map(|(path, _)| path).collect();
        }
        Fate::NoPlace { because } => {
            row.fate = "no_place";
            row.because = Some(because).filter(|text| !text.is_empty());
        }
        Fate::Stops => {
            row.fate = "stops";
            let volumes = view.state.volumes_of(&instance.id);
            row.leaves_volumes = volumes.map(|volume| volume.path.as_str()).collect();
        }
        Fate::WaitedFor => row.fate = "waited_for",
        Fate::Ends => {}
    }
    row
}

fn sentence(moves: usize, no_place: usize, stops: usize, others: usize) -> String {
    let mut parts = Vec::new();
    if moves > 0 {
        let has = if moves == 1 { "has" } else { "have" };
        parts.push(format!("{} {has} a place elsewhere", count(moves, "instance")));
    }
    if no_place > 0 {
        let (has, stays) = if no_place == 1 { ("has", "stays") } else { ("have", "stay") };
        let none = if moves > 0 { "none" } else { "no place elsewhere" };
        parts.push(format!(
            "{} {has} {none} and {stays} here until something has room",
            count(no_place, "instance")
        ));
    }
    if stops > 0 {
        let (they_stop, their) =
            if stops == 1 { ("stops and waits", "its") } else { ("stop and wait", "their") };
        let n = count(stops, "instance");
        parts.push(format!(
            "{n} {they_stop} here with {their} data until the node takes work again"
        ));
    }
    if others > 0 {
        let (is, end) =
            if others == 1 { ("is", "it has ended") } else { ("are", "they have ended") };
        let n = count(others, "instance");
        parts.push(format!("{n} {is} not moved: the drain waits until {end}"));
    }
    if parts.is_empty() { "nothing runs here".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_happen_is_told_in_one_sentence() {
        assert_eq!(sentence(0, 0, 0, 0), "nothing runs here");
        assert_eq!(
            sentence(2, 1, 0, 0),
            "2 instances have a place elsewhere; 1 instance has none and stays here until \
             something has room"
        );
        assert_eq!(
            sentence(0, 4, 0, 0),
            "4 instances have no place elsewhere and stay here until something has room"
        );
        assert_eq!(
            sentence(0, 0, 1, 0),
            "1 instance stops and waits here with its data until the node takes work again"
        );
        assert_eq!(
            sentence(0, 0, 0, 1),
            "1 instance is not moved: the drain waits until it has ended"
        );
    }
}

//! What an agent knows of the cluster's names, put together from what it was told.

use std::{net::IpAddr, sync::Arc};

use imbl::OrdMap;

use super::{NamedTask, Port, Sink, TaskRecords, cluster_records};
use crate::{
    base::clock::Timestamp,
    model::{
        InstanceId,
        names::{Named, NamedPort, Names, Part, Realm},
    },
};

/// All names, as of the last news. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    realm: Realm,
    tasks: OrdMap<InstanceId, Arc<Named>>,
    /// The cluster's time.
    pub at: Timestamp,
}

/// Puts news together; a whole set counts once it is complete, until then what was known before.
#[derive(Debug, Default)]
pub struct Received {
    known: Option<Known>,
    /// Of a whole set whose last part has not come.
    begun: Option<Known>,
}

impl Received {
    /// Takes news in. Answers what is known now, when that has changed.
    pub fn take(&mut self, news: &Names) -> Option<&Known> {
        match news.part {
            Part::Whole | Part::First => self.begun = Some(Known::default()),
            Part::Middle | Part::Last | Part::Change => {}
        }
        let into = match news.part {
            Part::Change => self.known.as_mut(),
            Part::Whole | Part::First | Part::Middle | Part::Last => self.begun.as_mut(),
        };
        // Changes of what was never told, or the rest of a set whose beginning was not: the sender
        // owes the whole set.
        into?.apply(news);
        match news.part {
            Part::First | Part::Middle => None,
            Part::Change => self.known.as_ref(),
            Part::Whole | Part::Last => {
                self.known = self.begun.take();
                self.known.as_ref()
            }
        }
    }
}

impl Known {
    fn apply(&mut self, news: &Names) {
        self.at = news.at;
        if let Some(realm) = &news.realm {
            self.realm = (**realm).clone();
        }
        for named in &news.put {
            self.tasks.insert(named.instance.clone(), named.clone());
        }
        for id in &news.gone {
            self.tasks.remove(id);
        }
    }

    /// All of it as one piece of news.
    pub fn news(&self) -> Names {
        Names {
            part: Part::Whole,
            realm: Some(Box::new(self.realm.clone())),
            put: self.tasks.values().cloned().collect(),
            gone: Vec::new(),
            at: self.at,
        }
    }

    /// What a piece of news says that is a whole set by itself; `None` of any other.
    pub fn of(news: &Names) -> Option<Self> {
        Received::default().take(news).cloned()
    }

    /// Life of every record, in seconds.
    pub fn ttl_secs(&self) -> u32 {
        self.realm.ttl_secs
    }

    /// Sends every record, as the node at `this_node` answers them.
    pub fn records<S: Sink>(&self, this_node: IpAddr, sink: &mut S) {
        let realm = Realm { this_node: Some(this_node), ..self.realm.clone() };
        cluster_records(&realm, sink);
        let mut records = TaskRecords::new(realm.rule, sink);
        for task in self.tasks.values().flat_map(|named| &named.tasks) {
            let ports: Vec<Port<'_>> = task.ports.iter().map(borrowed).collect();
            records.push(&NamedTask {
                framework: &task.framework,
                name: &task.name,
                is_discovered: task.is_discovered,
                id: &task.id,
                agent_id: task.agent_id.as_str(),
                agent: task.agent,
                own: &task.own,
                is_mapped: task.is_mapped,
                host_ports: &task.host_ports,
                ports: &ports,
            });
        }
    }
}

fn borrowed(port: &NamedPort) -> Port<'_> {
    Port { number: port.number, name: port.name.as_deref(), transport: port.transport }
}

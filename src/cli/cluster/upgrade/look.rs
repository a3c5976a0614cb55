//! Asking a cluster that changes meanwhile: whoever leads now is asked, by way of the hosts that are open.

use super::{
    super::{
        crew::Reached,
        host::Open,
        ssh::Trouble,
        wanted::{Host, Wanted},
    },
    plan::Known,
    seen::Seen,
};

/// Who is asked, and was last.
pub struct Looking<'r, 'a> {
    reached: &'r Reached<'a>,
    masters: Vec<Host>,
    last: Option<Host>,
}

impl<'r, 'a> Looking<'r, 'a> {
    pub fn new(reached: &'r Reached<'a>, wanted: &Wanted) -> Self {
        Self { reached, masters: wanted.masters().collect(), last: None }
    }

    /// The cluster as its leader sees it, and where that is. A host that is started anew is asked last of all,
    /// which is the only one where there is no other.
    pub async fn whole(&mut self, without: Option<Host>) -> Result<(Seen, Host), String> {
        let mut order: Vec<Host> =
            self.last.into_iter().chain(self.masters.iter().copied()).collect();
        order.sort_by_key(|host| Some(*host) == without);
        let mut problems = Vec::new();
        for host in order {
            match self.by_way_of(host).await {
                Ok((seen, leader)) => {
                    self.last = Some(leader);
                    return Ok((seen, leader));
                }
                Err(why) => problems.push(format!("{host}: {why}")),
            }
        }
        problems.dedup();
        Err(format!("no master tells of the whole: {}", problems.join("; ")))
    }

    /// The connection to a host.
    pub fn open(&self, host: Host) -> Option<&'r Open<'a>> {
        self.reached.get(&host)
    }

    async fn by_way_of(&self, host: Host) -> Result<(Seen, Host), String> {
        let said = |trouble: Trouble| trouble.to_string();
        let Some(open) = self.reached.get(&host) else { return Err("it is not open".to_owned()) };
        let mut masters = open.ask("master list").await.map_err(said)?;
        let found = |told: &serde_json::Value| {
            let seen = Seen::read(told, &serde_json::Value::Null, &serde_json::Value::Null);
            seen.leader().and_then(|leader| leader.address)
        };
        let leader = found(&masters).ok_or("it knows of no leader")?;
        let host = self.masters.iter().copied().find(|host| host.address == leader);
        let host = host.ok_or_else(|| format!("{leader} leads and is not listed"))?;
        let open = &self.reached[&host];
        // Only the one that leads knows how far the others are.
        masters = open.ask("master list").await.map_err(said)?;
        if found(&masters) != Some(leader) {
            return Err("another master begins to lead".to_owned());
        }
        let nodes = open.ask("node list").await.map_err(said)?;
        let level = open.ask("cluster show").await.map_err(said)?;
        Ok((Seen::read(&masters, &nodes, &level), host))
    }
}

/// What a host said of itself.
pub fn known(open: &Open<'_>) -> Known {
    let facts = &open.facts;
    Known {
        host: open.host,
        joined: facts.joined,
        program: facts.program.clone().filter(|_| facts.runs),
        node: facts.node.clone(),
        room_kib: facts.room_kib,
    }
}

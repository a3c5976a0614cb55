//! Who decides: the next step towards the members of the log being the masters of the state.
//!
//! A master that joined first follows the log until it has everything, then decides with the others.
//! Deciding masters come in odd numbers, 1, 3 and 5: a second one would make the cluster stand still when
//! either is away, so it follows until there is a third. When one is removed the others go on as they
//! are: what was acknowledged is on most of them, and fewer would hold less.
//!
//! One that was not heard for a minute, and one that is told to stand by, gives its part to another that
//! follows and has everything. It goes on following itself, so it is the next that may take a part.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{log::Standing, model::master::Master};

/// Masters that decide at most: more only make each command slower.
const VOTERS_MAX: usize = 5;
/// Entries that one may lack that begins to decide.
const BEHIND_MAX: u64 = 64;
/// Silence after which another decides in a master's place: long enough for its machine to start anew.
const LOST_AFTER: Duration = Duration::from_secs(60);

/// What the state wants of one master.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wish {
    /// Where others reach it; empty when it has not said so yet.
    address: String,
    /// Whether it is to follow only.
    stands_by: bool,
}

impl Wish {
    pub fn of(master: &Master) -> Self {
        Self { address: master.addresses.peers.clone(), stands_by: master.stands_by }
    }
}

/// What the leader does next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Has a master follow, or tells the others where it is reached.
    Put(u64, String),
    /// Has exactly these decide.
    Decide(BTreeSet<u64>),
    /// Has a master leave that only follows.
    Drop(u64),
    /// Lets another lead: this one was removed, or stands by.
    GiveWay,
}

/// The next step, as the leader `me` sees it that has led for so long.
pub fn next(
    masters: &BTreeMap<u64, Wish>,
    members: &[Standing],
    me: u64,
    led_for: Duration,
) -> Option<Step> {
    let known = |id: &u64| members.iter().find(|member| member.id == *id);
    for (id, Wish { address, .. }) in masters.iter().filter(|(_, wish)| !wish.address.is_empty()) {
        if known(id).is_none_or(|member| member.address != *address) {
            return Some(Step::Put(*id, address.clone()));
        }
    }
    let voters: BTreeSet<u64> = members.iter().filter(|m| m.is_voter).map(|m| m.id).collect();
    let stay: BTreeSet<u64> =
        voters.iter().copied().filter(|id| masters.contains_key(id)).collect();
    // A leader that is new has not asked everybody yet.
    let is_lost =
        |m: &Standing| m.id != me && m.silent.unwrap_or(led_for).min(led_for) >= LOST_AFTER;
    let ready = || {
        members.iter().filter(|m| {
            let caught_up = m.behind.is_some_and(|behind| behind <= BEHIND_MAX);
            !m.is_voter && masters.contains_key(&m.id) && caught_up && !is_lost(m)
        })
    };
    if !masters.contains_key(&me) {
        if !stay.is_empty() {
            return Some(Step::GiveWay);
        }
        // Somebody has to decide before the last one goes.
        return ready().next().map(|heir| Step::Decide(BTreeSet::from([me, heir.id])));
    }
    if stay.len() < voters.len() {
        return Some(Step::Decide(stay));
    }
    if let Some(gone) = members.iter().find(|m| !m.is_voter && !masters.contains_key(&m.id)) {
        return Some(Step::Drop(gone.id));
    }
    let stands_by = |id: &u64| masters.get(id).is_some_and(|wish| wish.stands_by);
    let willing: Vec<u64> = ready().map(|m| m.id).filter(|id| !stands_by(id)).collect();
    let n_more = if voters.len() % 2 == 1 { 2 } else { 1 };
    if willing.len() >= n_more && voters.len() + n_more <= VOTERS_MAX {
        return Some(Step::Decide(
            voters.into_iter().chain(willing.into_iter().take(n_more)).collect(),
        ));
    }
    let lost = members.iter().filter(|m| m.is_voter && is_lost(m)).map(|m| m.id);
    let mut leaving = lost.chain(voters.iter().copied().filter(stands_by));
    let leaves = leaving.next()?;
    let heir = *willing.first()?;
    if leaves == me {
        // Whoever leads next takes it out.
        return Some(Step::GiveWay);
    }
    let others = voters.iter().copied().filter(|id| *id != leaves);
    Some(Step::Decide(others.chain([heir]).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn masters(ids: &[u64]) -> BTreeMap<u64, Wish> {
        let wish = |id: &u64| Wish { address: format!("10.0.0.{id}:5070"), stands_by: false };
        ids.iter().map(|id| (*id, wish(id))).collect()
    }

    fn member(id: u64, is_voter: bool, behind: Option<u64>) -> Standing {
        let silent = Some(Duration::from_millis(20));
        Standing { id, address: format!("10.0.0.{id}:5070"), is_voter, behind, silent }
    }

    /// What is due when the leader has led for long.
    fn next(masters: &BTreeMap<u64, Wish>, members: &[Standing], me: u64) -> Option<Step> {
        super::next(masters, members, me, LONG)
    }

    fn voters(ids: &[u64]) -> Vec<Standing> {
        ids.iter().map(|id| member(*id, true, Some(0))).collect()
    }

    fn decide(ids: &[u64]) -> Option<Step> {
        Some(Step::Decide(ids.iter().copied().collect()))
    }

    #[test]
    fn masters_follow_first_and_decide_in_odd_numbers() {
        let put = |id: u64| Some(Step::Put(id, format!("10.0.0.{id}:5070")));
        let mut members = voters(&[1]);
        assert_eq!(next(&masters(&[1]), &members, 1), None);
        assert_eq!(next(&masters(&[1, 2]), &members, 1), put(2));
        members.push(member(2, false, Some(0)));
        assert_eq!(next(&masters(&[1, 2]), &members, 1), None, "a second one only follows");
        members.push(member(3, false, None));
        assert_eq!(next(&masters(&[1, 2, 3]), &members, 1), None, "not answered yet");
        members[2].behind = Some(BEHIND_MAX + 1);
        assert_eq!(next(&masters(&[1, 2, 3]), &members, 1), None, "not caught up yet");
        members[2].behind = Some(BEHIND_MAX);
        assert_eq!(next(&masters(&[1, 2, 3]), &members, 1), decide(&[1, 2, 3]));
        let mut members = voters(&[1, 2, 3]);
        members.push(member(4, false, Some(0)));
        assert_eq!(next(&masters(&[1, 2, 3, 4]), &members, 1), None, "a fourth stands by");
        members.push(member(5, false, Some(0)));
        assert_eq!(next(&masters(&[1, 2, 3, 4, 5]), &members, 1), decide(&[1, 2, 3, 4, 5]));
        let mut members = voters(&[1, 2, 3, 4, 5]);
        members.extend([member(6, false, Some(0)), member(7, false, Some(0))]);
        assert_eq!(next(&masters(&[1, 2, 3, 4, 5, 6, 7]), &members, 1), None, "five are enough");
    }

    #[test]
    fn an_address_is_followed_and_one_that_is_not_known_changes_nothing() {
        let mut all = masters(&[1]);
        let mut members = voters(&[1]);
        members[0].address.clear();
        assert_eq!(next(&all, &members, 1), Some(Step::Put(1, "10.0.0.1:5070".into())));
        all.insert(1, Wish { address: String::new(), stands_by: false });
        assert_eq!(next(&all, &members, 1), None);
    }

    #[test]
    fn a_removed_master_leaves_and_a_spare_takes_its_place() {
        let mut members = voters(&[1, 2, 3]);
        assert_eq!(next(&masters(&[1, 3]), &members, 1), decide(&[1, 3]));
        members.push(member(4, false, Some(0)));
        assert_eq!(next(&masters(&[1, 2, 3]), &members, 1), Some(Step::Drop(4)));
        let mut members = voters(&[1, 3]);
        members.push(member(4, false, Some(0)));
        assert_eq!(next(&masters(&[1, 3, 4]), &members, 1), decide(&[1, 3, 4]));
    }

    #[test]
    fn a_leader_that_is_removed_lets_another_lead_first() {
        assert_eq!(next(&masters(&[2, 3]), &voters(&[1, 2, 3]), 1), Some(Step::GiveWay));
        let mut members = voters(&[1]);
        members.push(member(2, false, None));
        assert_eq!(next(&masters(&[2]), &members, 1), None, "the other has nothing yet");
        members[1].behind = Some(0);
        assert_eq!(next(&masters(&[2]), &members, 1), decide(&[1, 2]));
        assert_eq!(next(&masters(&[2]), &voters(&[1, 2]), 1), Some(Step::GiveWay));
        assert_eq!(next(&masters(&[2]), &voters(&[1, 2]), 2), decide(&[2]));
    }

    #[test]
    fn a_silent_master_gives_its_part_to_one_that_follows() {
        let all = masters(&[1, 2, 3, 4]);
        let mut members = voters(&[1, 2, 3]);
        members.push(member(4, false, Some(0)));
        members[1].silent = Some(LOST_AFTER - Duration::from_secs(1));
        assert_eq!(next(&all, &members, 1), None, "it may come back");
        members[1].silent = Some(LOST_AFTER);
        let so_far = |led_for| super::next(&all, &members, 1, led_for);
        assert_eq!(so_far(LOST_AFTER / 2), None, "the leader itself is new");
        assert_eq!(so_far(LONG), decide(&[1, 3, 4]));
        members[1].silent = None;
        assert_eq!(super::next(&all, &members, 1, LOST_AFTER / 2), None, "never asked yet");
        assert_eq!(next(&all, &members, 1), decide(&[1, 3, 4]), "never heard in all that time");
        members[3].silent = Some(LOST_AFTER);
        assert_eq!(next(&all, &members, 1), None, "the one that follows is away itself");
        assert_eq!(next(&masters(&[1, 2, 3]), &members[..3], 1), None, "nobody to take its place");
        // It is back, and follows.
        let mut members = voters(&[1, 3, 4]);
        members.push(member(2, false, Some(0)));
        assert_eq!(next(&all, &members, 1), None);
    }

    #[test]
    fn one_that_stands_by_decides_until_another_can() {
        let mut all = masters(&[1, 2, 3]);
        all.get_mut(&2).expect("there").stands_by = true;
        let mut members = voters(&[1, 2, 3]);
        assert_eq!(next(&all, &members, 1), None, "two would hold less than three");
        all.extend(masters(&[4]));
        members.push(member(4, false, Some(0)));
        assert_eq!(next(&all, &members, 1), decide(&[1, 3, 4]));
        assert_eq!(next(&all, &members, 2), Some(Step::GiveWay), "the leader itself");
        let mut members = voters(&[1, 3, 4]);
        members.push(member(2, false, Some(0)));
        assert_eq!(next(&all, &members, 1), None, "and it stays so");
        members[1].silent = Some(LOST_AFTER);
        assert_eq!(next(&all, &members, 1), None, "nobody who wants to");
        all.get_mut(&2).expect("there").stands_by = false;
        assert_eq!(next(&all, &members, 1), decide(&[1, 2, 4]));
        // It is not counted among those that make three.
        let mut all = masters(&[1, 2, 3]);
        all.get_mut(&3).expect("there").stands_by = true;
        let members =
            [member(1, true, Some(0)), member(2, false, Some(0)), member(3, false, Some(0))];
        assert_eq!(next(&all, &members, 1), None);
    }
}

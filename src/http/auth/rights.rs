//! What a caller may do. Every route is asked here, by the access it declares.
//!
//! The rule is simple so far: a superuser may do everything; everybody else who is known owns
//! nothing, and so only looks.

/// Who may use a route; `Rights` decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Anybody, without a token.
    Open,
    /// Whoever is known: looks only.
    Read,
    /// Whoever may change things.
    Write,
    /// Whoever may change the cluster itself: users, nodes, settings.
    Admin,
}

/// How far somebody's rights go, from little to much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// Nobody's: what is open.
    None,
    /// Of whoever is known: looks.
    Look,
    /// A superuser's.
    All,
}

impl Rights {
    /// Those of a user.
    pub fn of_user(is_superuser: bool) -> Self {
        if is_superuser { Self::All } else { Self::Look }
    }

    /// Whether they reach a route of this access: the one place where that is decided.
    pub fn reach(self, access: Access) -> bool {
        match access {
            Access::Open => true,
            Access::Read => self >= Self::Look,
            // Nobody owns anything yet, so that changing one's own things is nobody's right.
            Access::Write | Access::Admin => self == Self::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_reached_by_the_rights_it_needs() {
        use Access::{Admin, Open, Read, Write};
        for (rights, reached) in [
            (Rights::None, &[Open][..]),
            (Rights::Look, &[Open, Read]),
            (Rights::All, &[Open, Read, Write, Admin]),
        ] {
            for access in [Open, Read, Write, Admin] {
                assert_eq!(
                    rights.reach(access),
                    reached.contains(&access),
                    "{rights:?} {access:?}"
                );
            }
        }
    }
}

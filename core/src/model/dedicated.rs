//! Nodes that are kept for some: a pool, whose it is, and who may ask for it (Aurora: the constraint `dedicated`).
//!
//! A pool is named `role`, `role/pool` or `*/pool`. Labels and taints of nodes can't hold the slash or the star, so there
//! it is `role`, `role.pool` or `ANY.pool`: a role's name has no dots and no capitals, so no two pools look the same.

use std::{fmt, str::FromStr};

/// The longest name of a pool: on a node it has to fit a label's value.
pub const MAX_DEDICATED: usize = 61;

/// What a pool of every role begins with on a node.
const ANY: &str = "ANY";

/// A pool of dedicated nodes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dedicated {
    text: Box<str>,
}

/// Why a text names no pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoPool(Box<str>);

impl fmt::Display for NoPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} names no pool of dedicated nodes; use a role, role/pool, or */pool for one of every role, of at most \
             {MAX_DEDICATED} letters, digits, dashes, and in the pool dots and underscores, a letter or digit at each end",
            self.0
        )
    }
}

impl std::error::Error for NoPool {}

impl Dedicated {
    /// The role whose pool it is; `None` where it is for every role.
    pub fn role(&self) -> Option<&str> {
        Some(self.parts().0).filter(|role| *role != "*")
    }

    /// The value of the label and the taint of its nodes.
    pub fn label_value(&self) -> String {
        match self.parts() {
            ("*", Some(pool)) => format!("{ANY}.{pool}"),
            (role, Some(pool)) => format!("{role}.{pool}"),
            (role, None) => role.to_owned(),
        }
    }

    /// Whether work of the role may ask for it: it is the role's own, or for every role, and the role may use it. The
    /// pools the role may use are named as this one is.
    pub fn is_open_to<'a>(&self, role: &str, allowed: impl IntoIterator<Item = &'a str>) -> bool {
        self.role().is_none_or(|owner| owner == role) && allowed.into_iter().any(|pool| *pool == *self.text)
    }

    fn parts(&self) -> (&str, Option<&str>) {
        self.text.split_once('/').map_or((&*self.text, None), |(role, pool)| (role, Some(pool)))
    }
}

impl fmt::Display for Dedicated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Dedicated {
    type Err = NoPool;

    fn from_str(text: &str) -> Result<Self, NoPool> {
        let new = Self { text: text.into() };
        let is_known = match new.parts() {
            ("*", pool) => pool.is_some(),
            (role, _) => is_name(role, |c| c == '-' || c.is_ascii_lowercase() || c.is_ascii_digit()),
        };
        let has_pool = |pool| is_name(pool, |c| "-_.".contains(c) || c.is_ascii_alphanumeric());
        let fits = text.len() <= MAX_DEDICATED;
        if fits && is_known && new.parts().1.is_none_or(has_pool) { Ok(new) } else { Err(NoPool(new.text)) }
    }
}

/// Whether it consists of such characters and has a letter or digit at each end.
fn is_name(text: &str, allows: impl Fn(char) -> bool) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(text.chars().next()) && ends(text.chars().next_back()) && text.chars().all(allows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_named_after_roles() {
        for (text, role, label) in [
            ("ads", Some("ads"), "ads"),
            ("ads/gpu", Some("ads"), "ads.gpu"),
            ("ads-1/big.Memory_2", Some("ads-1"), "ads-1.big.Memory_2"),
            ("*/gpu", None, "ANY.gpu"),
        ] {
            let pool: Dedicated = text.parse().unwrap();
            assert_eq!((pool.role(), pool.label_value().as_str()), (role, label), "{text}");
            assert_eq!(pool.to_string(), text);
        }
        let longest = format!("*/{}", "p".repeat(MAX_DEDICATED - 2));
        assert_eq!(longest.parse::<Dedicated>().unwrap().label_value().len(), 63);
        for text in [
            "",
            "*",
            "/",
            "*/",
            "ads/",
            "/gpu",
            "ads/gpu/a",
            "Ads",
            "ANY.gpu",
            "a.b",
            "a.b/c",
            "-ads",
            "ads-/x",
            "ads/gpu-",
            "ads/.",
            "ads/g pu",
            "ads/ü",
            "**/a",
            &format!("{longest}p"),
        ] {
            let said = text.parse::<Dedicated>().unwrap_err().to_string();
            assert!(said.starts_with(&format!("\"{text}\" names no pool")), "{said}");
        }
    }

    #[test]
    fn what_is_no_pool_is_named_on_one_line() {
        let said = "ads/\n\u{1b}[2J".parse::<Dedicated>().unwrap_err().to_string();
        assert!(said.starts_with(r#""ads/\n\u{1b}[2J" names no pool"#), "{said:?}");
    }

    #[test]
    fn a_pool_is_asked_for_by_its_role_where_that_may_use_it() {
        let open = |pool: &str, role: &str, allowed: &[&str]| {
            pool.parse::<Dedicated>().unwrap().is_open_to(role, allowed.iter().copied())
        };
        assert!(open("ads/gpu", "ads", &["ads", "ads/gpu"]));
        assert!(open("ads", "ads", &["ads"]));
        assert!(open("*/gpu", "ads", &["*/gpu"]));
        assert!(!open("ads/gpu", "ads", &["ads", "*/gpu"]), "it is not among them");
        assert!(!open("ads/gpu", "web", &["ads/gpu"]), "it is another role's, whatever is allowed");
        assert!(!open("*/gpu", "ads", &[]));
    }
}

//! The commands of the README, which the tests run word by word, so that what people copy is what was run.

use anyhow::{Context, Result, ensure};

use crate::paths;

/// The commands of a section of the README that begin with these words, each as its words.
///
/// # Errors
/// When there is no such section, or no such command in it.
pub fn commands(section: &str, beginning: &str) -> Result<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(paths::repository().join("README.md"))?;
    let found = within(&text, section, beginning);
    ensure!(!found.is_empty(), "README.md has no command `{beginning} …` under \"{section}\"");
    Ok(found)
}

/// The only one.
///
/// # Errors
/// When there is none, or more.
pub fn command(section: &str, beginning: &str) -> Result<Vec<String>> {
    let found = commands(section, beginning)?;
    ensure!(found.len() == 1, "README.md has several commands `{beginning} …` under \"{section}\"");
    found.into_iter().next().context("there is one")
}

fn within(text: &str, section: &str, beginning: &str) -> Vec<Vec<String>> {
    let (mut here, mut fenced) = (false, false);
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with('#') {
            here = line.trim_start_matches('#').trim() == section;
        } else if here && fenced && line.starts_with(beginning) {
            let command = line.split(" #").next().unwrap_or_default();
            found.push(command.split_whitespace().map(str::to_owned).collect());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_found_in_its_section_without_its_remark() {
        let text = "## One\n```\nhelm install a\n```\n## Two\nhelm install of text\n```\nhelm install b c   # why\n# helm\n\
                    kubectl get x\n```\n### Three\n```\nhelm install d\n```\n";
        assert_eq!(within(text, "Two", "helm install"), [["helm", "install", "b", "c"].map(str::to_owned)]);
        assert_eq!(within(text, "Three", "helm"), [["helm", "install", "d"].map(str::to_owned)]);
        assert!(within(text, "Four", "helm").is_empty());
    }

    #[test]
    fn the_readme_has_what_the_tests_run() {
        assert_eq!(commands("By Helm", "helm install").unwrap().len(), 2);
        assert_eq!(commands("By kubectl", "kubectl").unwrap().len(), 3);
        assert_eq!(commands("By a GitOps pipeline", "kubectl apply --server-side").unwrap().len(), 2);
    }
}

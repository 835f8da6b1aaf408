//! How does a workflow look?

use super::plan::{Plan, PlanThen, Work};

/// A diagram in the language of mermaid.js; `status` says how far each step is.
pub(crate) fn diagram(plan: &Plan, status: impl Fn(usize) -> Option<&'static str>) -> String {
    let mut lines = vec!["flowchart TD".to_owned()];
    nodes(plan, None, 1, &mut lines);
    for (i, step) in plan.steps.iter().enumerate() {
        for need in &step.needs {
            lines.push(format!("  s{need} --> s{i}"));
        }
        for (option, (target, max)) in &step.routes {
            lines.push(format!("  s{i} -. \"{} (at most {max})\" .-> s{target}", quoted(option)));
        }
        if let Work::Branches(branches) = &step.work {
            for branch in branches {
                if let PlanThen::Goto(target, max) = branch.then {
                    lines.push(format!("  s{i} -. \"at most {max}\" .-> s{target}"));
                }
            }
        }
    }
    for (i, status) in (0..plan.steps.len()).filter_map(|i| Some((i, status(i)?))) {
        lines.push(format!("  class s{i} {status};"));
    }
    lines.push("  classDef completed fill:#d5f0d5,stroke:#2d7a2d;".to_owned());
    lines.push("  classDef failed fill:#f6d0d0,stroke:#a02020;".to_owned());
    lines.push("  classDef running fill:#d6e6fa,stroke:#1f5fa8;".to_owned());
    lines.push("  classDef waiting fill:#fdf0cc,stroke:#96700a;".to_owned());
    lines.join("\n") + "\n"
}

fn nodes(plan: &Plan, parent: Option<usize>, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    for (i, step) in plan.steps.iter().enumerate().filter(|(_, step)| step.parent == parent) {
        let title = quoted(&step.title);
        match &step.work {
            Work::Parallel { .. } => {
                lines.push(format!("{indent}subgraph s{i} [\"{title}\"]"));
                nodes(plan, Some(i), depth + 1, lines);
                lines.push(format!("{indent}end"));
            }
            Work::Branches(_) => lines.push(format!("{indent}s{i}{{\"{title}\"}}")),
            Work::Review { .. } => lines.push(format!("{indent}s{i}[/\"{title}\"/]")),
            Work::Wait { .. } => lines.push(format!("{indent}s{i}([\"{title}\"])")),
            Work::Sub { .. } => lines.push(format!("{indent}s{i}[[\"{title}\"]]")),
            _ => lines.push(format!("{indent}s{i}[\"{title}\"]")),
        }
    }
}

/// A text within quotes of the diagram.
fn quoted(text: &str) -> String {
    let clean: String = text.chars().filter(|c| !c.is_control()).collect();
    clean.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

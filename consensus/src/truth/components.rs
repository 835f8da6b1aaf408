//! Which raters are connected by the items that they share?

use crate::Ratings;

/// Raters and items that are connected, and nobody else. Codes ascend.
pub(super) struct Component {
    pub(super) raters: Vec<u32>,
    pub(super) items: Vec<u32>,
}

/// The connected parts of the graph of raters and items, in the order of their first item. Time is linear in the votes.
pub(super) fn components(data: &Ratings) -> Vec<Component> {
    let (mut of_item, mut of_rater) = (vec![usize::MAX; data.n_items()], vec![false; data.n_raters()]);
    let mut parts: Vec<Component> = Vec::new();
    for start in 0..data.n_items() {
        if of_item[start] != usize::MAX {
            continue;
        }
        let part = parts.len();
        of_item[start] = part;
        let (mut items, mut raters) = (vec![start as u32], Vec::new());
        let mut next = 0;
        while next < items.len() {
            for &r in data.item_raters(items[next] as usize) {
                if std::mem::replace(&mut of_rater[r as usize], true) {
                    continue;
                }
                raters.push(r);
                for &i in data.rater_items(r as usize) {
                    if of_item[i as usize] == usize::MAX {
                        of_item[i as usize] = part;
                        items.push(i);
                    }
                }
            }
            next += 1;
        }
        items.sort_unstable();
        raters.sort_unstable();
        parts.push(Component { raters, items });
    }
    parts
}

//! What does an order come to, and how much of an amount is tax?
//!
//! Amounts are counted in whole cents, so that sums are exact.

use quorate_core::Result;
use serde_json::{Value, json};

use super::given::{Given, wrong};

/// Largest amount that is counted, in cents: well within what a double holds exactly.
const MOST_CENTS: f64 = 1e13;

/// Most of one article.
const MOST_ITEMS: i64 = 1_000_000;

/// goods - goods * discount / 100 + shipping, where goods are the sum of price * quantity. Errors: `tool_arguments` for no
/// line, a negative price, a quantity below 1, a discount outside 0 to 100, an amount that is too large.
pub(super) fn order_total(given: Given<'_>) -> Result<Value> {
    let (mut goods, mut items, mut lines) = (0.0, 0, 0);
    for line in given.objects("lines")? {
        let quantity = line.whole("quantity", 1, MOST_ITEMS)?;
        goods += cents(line.amount("price")?)? * quantity as f64;
        items += quantity;
        lines += 1;
    }
    if lines == 0 {
        return Err(wrong("no line is given"));
    }
    let discount = goods * percent(given.amount_or("discount_percent", 0.0)?)?;
    let (discount, shipping) = (discount.round(), cents(given.amount_or("shipping", 0.0)?)?);
    let total = bounded(goods - discount + shipping)?;
    Ok(json!({
        "items": items, "goods": amount(goods), "discount": amount(discount), "shipping": amount(shipping),
        "total": amount(total),
    }))
}

/// net = gross / (1 + rate), tax = gross - net. Errors: `tool_arguments` for a negative amount, a rate outside 0 to 100.
pub(super) fn tax_in_gross(given: Given<'_>) -> Result<Value> {
    let gross = cents(given.amount("gross")?)?;
    let net = (gross / (1.0 + percent(given.amount("rate_percent")?)?)).round();
    Ok(json!({"net": amount(net), "tax": amount(gross - net), "gross": amount(gross)}))
}

/// An amount in whole cents.
fn cents(amount: f64) -> Result<f64> {
    bounded((amount * 100.0).round())
}

fn bounded(cents: f64) -> Result<f64> {
    if cents <= MOST_CENTS { Ok(cents) } else { Err(wrong("an amount is too large")) }
}

fn percent(percent: f64) -> Result<f64> {
    if percent <= 100.0 { Ok(percent / 100.0) } else { Err(wrong("a percentage is above 100")) }
}

fn amount(cents: f64) -> f64 {
    cents / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standins::calculator::tests::{of, refused};

    #[test]
    fn orders_add_up_to_the_cent() {
        let shirts = json!({"lines": [{"price": 19.99, "quantity": 3}], "shipping": 4.95});
        let total = of(order_total, shirts);
        assert_eq!(
            (&total["total"], &total["goods"], &total["items"]),
            (&json!(64.92), &json!(59.97), &json!(3))
        );
        let reduced = json!({"lines": [{"price": 0.1, "quantity": 3}, {"price": 10, "quantity": 1}], "discount_percent": 15});
        let total = of(order_total, reduced);
        // 15 percent of 10.30 are 1.545.
        assert_eq!((&total["discount"], &total["total"]), (&json!(1.55), &json!(8.75)));
        for wrong in [
            json!({"lines": []}),
            json!({"lines": [{"price": -1, "quantity": 1}]}),
            json!({"lines": [{"price": 1, "quantity": 0}]}),
            json!({"lines": [{"price": 1, "quantity": 1}], "discount_percent": 101}),
            json!({"lines": [{"price": 1e12, "quantity": 1000}]}),
        ] {
            refused(order_total, wrong);
        }
    }

    #[test]
    fn tax_and_net_are_the_gross() {
        let split = of(tax_in_gross, json!({"gross": 119.0, "rate_percent": 19}));
        assert_eq!((&split["net"], &split["tax"]), (&json!(100.0), &json!(19.0)));
        let split = of(tax_in_gross, json!({"gross": 9.99, "rate_percent": 7}));
        assert_eq!((&split["net"], &split["tax"]), (&json!(9.34), &json!(0.65)));
        assert_eq!(of(tax_in_gross, json!({"gross": 5, "rate_percent": 0}))["net"], json!(5.0));
        refused(tax_in_gross, json!({"gross": 5, "rate_percent": 120}));
        refused(tax_in_gross, json!({"gross": -5, "rate_percent": 19}));
    }
}

//! How do ratings come from Node?

use quorate::Result;
use quorate::consensus::{Column, Duplicates, Label, Ratings, RatingsOptions};

use crate::convert::{Args, count, indices, label, labels, list, number};
use crate::errors::{invalid, shape};
use crate::value::Given;

/// An array of labels.
pub enum Cells {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Labels(Vec<Option<Label>>),
}

impl Cells {
    /// Typed arrays as they are, anything else label by label.
    pub fn read(given: Given, what: &str) -> Result<Cells> {
        Ok(match given {
            Given::Ints(numbers) => Cells::Ints(numbers),
            Given::F64(numbers) => Cells::Floats(numbers),
            Given::F32(numbers) => Cells::Floats(numbers.into_iter().map(f64::from).collect()),
            other => Cells::Labels(
                list(other, what)?
                    .into_iter()
                    .enumerate()
                    .map(|(i, item)| label(item, &format!("{what}[{i}]")))
                    .collect::<Result<_>>()?,
            ),
        })
    }

    /// The same for the core.
    pub fn column(&self) -> Column<'_> {
        match self {
            Cells::Ints(v) => v.into(),
            Cells::Floats(v) => v.into(),
            Cells::Labels(v) => v.into(),
        }
    }
}

/// Pairs of a label and a value.
pub fn pairs<T>(
    given: Given,
    what: &str,
    convert: impl Fn(Given, &str) -> Result<T>,
) -> Result<Vec<(Label, T)>> {
    list(given, what)?
        .into_iter()
        .map(|pair| {
            let Ok([key, value]) = <[Given; 2]>::try_from(list(pair, what)?) else {
                return Err(shape(format!("{what} holds something else than pairs")));
            };
            let key = label(key, &format!("a key of {what}"))?
                .ok_or_else(|| invalid(format!("a key of {what} is missing")))?;
            let value = convert(value, &format!("{what}[{key}]"))?;
            Ok((key, value))
        })
        .collect()
}

/// The ratings among the arguments: `items, raters, values`, or `cells, nRaters, nItems`, or `counts, categories`.
pub fn ratings(args: &mut Args) -> Result<Ratings> {
    if let Some(counts) = args.maybe("counts", |given, _| Ok(given))? {
        return from_counts(counts, args.maybe("categories", labels)?);
    }
    let options = RatingsOptions {
        duplicates: args.choice(
            "duplicates",
            &[
                ("error", Duplicates::Error),
                ("first", Duplicates::First),
                ("last", Duplicates::Last),
                ("keep", Duplicates::Keep),
            ],
        )?,
        weights: args.or("raterWeights", Vec::new(), |given, _| pairs(given, "weights", number))?,
        domain: args.maybe("domain", labels)?,
    };
    if let Some(cells) = args.maybe("cells", |given, _| Cells::read(given, "data"))? {
        let n_raters = args.or("nRaters", 0, count)?;
        let n_items = args.or("nItems", 0, count)?;
        return Ratings::from_table(cells.column(), n_raters, n_items, &options);
    }
    let mut column = |name: &str| match args.take(name) {
        Given::Undefined | Given::Null => Err(invalid(format!("{name} is missing"))),
        given => Cells::read(given, name),
    };
    let (items, raters, values) = (column("items")?, column("raters")?, column("values")?);
    Ratings::with_options(items.column(), raters.column(), values.column(), &options)
}

fn from_counts(counts: Given, categories: Option<Vec<Label>>) -> Result<Ratings> {
    let counts = list(counts, "counts")?
        .into_iter()
        .enumerate()
        .map(|(i, row)| {
            let row = indices(row, &format!("counts[{i}]"))?;
            row.into_iter()
                .map(|n| u32::try_from(n).map_err(|_| shape(format!("counts[{i}] holds {n}"))))
                .collect()
        })
        .collect::<Result<Vec<Vec<u32>>>>()?;
    let categories = categories
        .unwrap_or_else(|| (0..counts.first().map_or(0, Vec::len) as i64).map(Label::from).collect());
    Ratings::from_counts(&counts, &categories)
}

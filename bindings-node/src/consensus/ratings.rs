//! How do ratings come from Node?

use quorate::Result;
use quorate::consensus::{Column, Duplicates, Label, Ratings, RatingsOptions, TableForm};

use crate::convert::{Args, count, indices, label, labels, list, number, text};
use crate::errors::{invalid, shape};
use crate::value::Given;

/// An array of labels.
pub enum Cells {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Labels(Vec<Option<Label>>),
}

impl Cells {
    /// Values that are measurements: numbers from 2^53 on are numbers as any other, and not names of which several would be one.
    fn measured(given: Given, what: &str) -> Result<Cells> {
        let Given::List(items) = given else {
            return Cells::read(given, what);
        };
        let one = |(i, item): (usize, Given)| match item {
            Given::Number(x) if !x.is_nan() => Ok(Some(Label::from(x))),
            other => label(other, &format!("{what}[{i}]")),
        };
        Ok(Cells::Labels(items.into_iter().enumerate().map(one).collect::<Result<_>>()?))
    }

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

/// The ratings among the arguments: `items, raters, values`, or `cells, rows, columns, tableForm`, or `counts, categories`.
pub fn ratings(args: &mut Args) -> Result<Ratings> {
    read(args, Cells::read)
}

/// The same for a method that computes with the values as numbers.
pub fn measurements(args: &mut Args) -> Result<Ratings> {
    read(args, Cells::measured)
}

fn read(args: &mut Args, values: fn(Given, &str) -> Result<Cells>) -> Result<Ratings> {
    if let Some(counts) = args.maybe("counts", |given, _| Ok(given))? {
        return from_counts(counts, args.maybe("categories", labels)?);
    }
    let form = args.maybe("tableForm", text)?;
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
        form: form.as_deref().map_or_else(|| Ok(TableForm::default()), str::parse)?,
    };
    if let Some(cells) = args.maybe("cells", |given, _| values(given, "data"))? {
        let rows = args.or("rows", 0, count)?;
        let columns = args.or("columns", 0, count)?;
        return Ratings::from_table(cells.column(), rows, columns, &options);
    }
    if form.is_some() {
        return Err(invalid("form is for a matrix; three columns say what they are themselves".to_owned()));
    }
    let mut column = |name: &str, read: fn(Given, &str) -> Result<Cells>| match args.take(name) {
        Given::Undefined | Given::Null => Err(invalid(format!("{name} is missing"))),
        given => read(given, name),
    };
    let (items, raters) = (column("items", Cells::read)?, column("raters", Cells::read)?);
    let values = column("values", values)?;
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

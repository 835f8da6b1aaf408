//! How do ratings come from Python?

use std::sync::Arc;

use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use quorate::consensus::{Column, Duplicates, Label, RatingsOptions, TableForm};

use crate::choose;
use crate::convert::{from_labels, indices, label, labels, may_be_array, score, sequence};
use crate::door::quick;
use crate::errors::{OrRaise, invalid, shape};
use crate::scalar::scalar;

/// Who rated what how.
#[pyclass(frozen, module = "quorate.consensus", name = "Ratings")]
pub struct Ratings(pub Arc<quorate::consensus::Ratings>);

/// Adds the class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Ratings>()
}

/// An array of labels, copied out of Python.
pub enum Cells {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Labels(Vec<Option<Label>>),
}

impl Cells {
    /// Arrays of int64 and float64 in one copy, anything else label by label.
    pub fn read(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Cells> {
        if may_be_array(value)? {
            if let Ok(array) = value.extract::<PyReadonlyArray1<'_, i64>>() {
                return Ok(Cells::Ints(array.as_array().iter().copied().collect()));
            }
            if let Ok(array) = value.extract::<PyReadonlyArray1<'_, f64>>() {
                return Ok(Cells::Floats(array.as_array().iter().copied().collect()));
            }
        }
        let cells = sequence(value, what)?
            .enumerate()
            .map(|(i, item)| label(&item?, &format!("{what}[{i}]")))
            .collect::<PyResult<_>>()?;
        Ok(Cells::Labels(cells))
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

/// `{label: value}` as pairs.
pub fn pairs<T>(
    value: &Bound<'_, PyDict>,
    what: &str,
    convert: impl Fn(&Bound<'_, PyAny>, &str) -> PyResult<T>,
) -> PyResult<Vec<(Label, T)>> {
    value
        .iter()
        .map(|(key, item)| {
            let key = label(&key, &format!("a key of {what}"))?
                .ok_or_else(|| invalid(format!("a key of {what} is missing")))?;
            let item = convert(&item, &format!("{what}[{key}]"))?;
            Ok((key, item))
        })
        .collect()
}

fn options(
    duplicates: &str,
    weights: Option<&Bound<'_, PyDict>>,
    domain: Option<&Bound<'_, PyAny>>,
) -> PyResult<RatingsOptions> {
    Ok(RatingsOptions {
        duplicates: choose(
            "duplicates",
            duplicates,
            &[
                ("error", Duplicates::Error),
                ("first", Duplicates::First),
                ("last", Duplicates::Last),
                ("keep", Duplicates::Keep),
            ],
        )?,
        weights: weights.map_or_else(|| Ok(Vec::new()), |w| pairs(w, "weights", score))?,
        domain: domain.map(|d| labels(d, "domain")).transpose()?,
        form: TableForm::default(),
    })
}

#[pymethods]
impl Ratings {
    /// From three arrays of equal length.
    #[staticmethod]
    fn from_columns(
        py: Python<'_>,
        items: &Bound<'_, PyAny>,
        raters: &Bound<'_, PyAny>,
        values: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = scalar)] duplicates: String,
        weights: Option<&Bound<'_, PyDict>>,
        domain: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let options = options(&duplicates, weights, domain)?;
        let (items, raters, values) =
            (Cells::read(items, "items")?, Cells::read(raters, "raters")?, Cells::read(values, "values")?);
        let ratings = quick(py, || {
            quorate::consensus::Ratings::with_options(
                items.column(),
                raters.column(),
                values.column(),
                &options,
            )
        })?;
        Ok(Ratings(Arc::new(ratings)))
    }

    /// From a table, row by row, with NaN or None for missing; ``form`` says what the rows are, and None that nobody said it.
    #[staticmethod]
    #[allow(clippy::too_many_arguments)] // they are arguments of the package
    fn from_table(
        py: Python<'_>,
        cells: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = scalar)] rows: usize,
        #[pyo3(from_py_with = scalar)] columns: usize,
        #[pyo3(from_py_with = scalar)] duplicates: String,
        weights: Option<&Bound<'_, PyDict>>,
        domain: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = scalar)] form: Option<String>,
    ) -> PyResult<Self> {
        let options = RatingsOptions {
            form: form.map_or_else(|| Ok(TableForm::default()), |f| f.parse()).or_raise()?,
            ..options(&duplicates, weights, domain)?
        };
        let cells = Cells::read(cells, "values")?;
        let ratings =
            quick(py, || quorate::consensus::Ratings::from_table(cells.column(), rows, columns, &options))?;
        Ok(Ratings(Arc::new(ratings)))
    }

    /// What to tell the user of a table whose form was not given, where it may be the other way round.
    #[staticmethod]
    fn doubt(
        #[pyo3(from_py_with = scalar)] rows: usize,
        #[pyo3(from_py_with = scalar)] columns: usize,
    ) -> Option<String> {
        TableForm::doubt(rows, columns)
    }

    /// From counts: how many raters put each item into each category.
    #[staticmethod]
    fn from_counts(
        py: Python<'_>,
        counts: &Bound<'_, PyAny>,
        categories: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let counts = sequence(counts, "counts")?
            .enumerate()
            .map(|(i, row)| {
                let row = indices(&row?, &format!("counts[{i}]"))?;
                row.into_iter()
                    .map(|n| u32::try_from(n).map_err(|_| shape(format!("counts[{i}] holds {n}"))))
                    .collect()
            })
            .collect::<PyResult<Vec<Vec<u32>>>>()?;
        let categories = match categories {
            Some(given) => labels(given, "categories")?,
            None => (0..counts.first().map_or(0, Vec::len) as i64).map(Label::from).collect(),
        };
        let ratings = quick(py, || quorate::consensus::Ratings::from_counts(&counts, &categories))?;
        Ok(Ratings(Arc::new(ratings)))
    }

    /// The ids of the items, in order of first appearance.
    #[getter]
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        from_labels(py, self.0.items())
    }

    /// The ids of the raters, in order of first appearance.
    #[getter]
    fn raters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        from_labels(py, self.0.raters())
    }

    /// The values, sorted, or in the order of the domain.
    #[getter]
    fn categories<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        from_labels(py, self.0.categories())
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __repr__(&self) -> String {
        format!(
            "Ratings({} ratings of {} items by {} raters in {} categories)",
            self.0.len(),
            self.0.n_items(),
            self.0.n_raters(),
            self.0.n_categories()
        )
    }
}

//! How are the arguments of an operation read?

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// The arguments of one operation. Each must be asked for, so that none is forgotten silently.
pub struct Args<'a> {
    operation: &'a str,
    given: &'a Value,
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Args<'a> {
    pub fn new(operation: &'a str, given: &'a Value) -> Self {
        assert!(given.is_object(), "{operation}: args is not an object");
        Args { operation, given, used: RefCell::default() }
    }

    /// An argument as it stands; null when it is not given.
    pub fn raw(&self, name: &str) -> &'a Value {
        self.used.borrow_mut().insert(name.to_owned());
        &self.given[name]
    }

    /// An argument, or what stands for it when it is not given.
    pub fn or<T: DeserializeOwned>(&self, name: &str, default: T) -> T {
        match self.raw(name) {
            Value::Null => default,
            value => serde_json::from_value(value.clone())
                .unwrap_or_else(|e| panic!("{}: {name}: {e}", self.operation)),
        }
    }

    /// An argument that must be there.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> T {
        assert!(!self.given[name].is_null(), "{}: {name} is missing", self.operation);
        self.maybe(name).unwrap_or_else(|| panic!("{}: {name} is missing", self.operation))
    }

    /// An argument that may be left out.
    pub fn maybe<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.or(name, None)
    }

    /// Fails when an argument was not asked for.
    pub fn all_used(&self) {
        let used = self.used.borrow();
        for name in self.given.as_object().into_iter().flat_map(|given| given.keys()) {
            assert!(used.contains(name), "{}: nothing reads the argument '{name}'", self.operation);
        }
    }
}

//! Which capabilities may whom name, and what are they called there?
//!
//! The administrator's capabilities are common to all. What a tenant adds or renames is its own: it changes neither
//! what others may name nor the titles that they see.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::Result;

use crate::Taxonomy;
use crate::taxonomy::{MAX_CAPABILITIES, too_many};

/// The common taxonomy, and what each tenant has beside it. Never changed once shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taxonomies {
    common: Arc<Taxonomy>,
    tenants: BTreeMap<String, Own>,
}

#[derive(Clone, Debug, Default)]
struct Own {
    /// Names and titles that the common taxonomy has not, or has otherwise. Parents may be common.
    added: BTreeMap<String, String>,
    /// The common ones and these.
    whole: Arc<Taxonomy>,
}

impl Taxonomies {
    /// What a tenant may name; none: who belongs to no tenant.
    pub(crate) fn of(&self, tenant: Option<&str>) -> &Arc<Taxonomy> {
        tenant.and_then(|t| self.tenants.get(t)).map_or(&self.common, |own| &own.whole)
    }

    /// What each tenant has beside the common taxonomy.
    pub(crate) fn added(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, String>)> {
        self.tenants.iter().map(|(tenant, own)| (tenant.as_str(), &own.added))
    }

    /// What a registry stored, as it stored it.
    pub(crate) fn stored<'a>(
        common: impl IntoIterator<Item = (&'a str, &'a str)>,
        tenants: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Self {
        let mut all = Taxonomies::default();
        let names = Arc::make_mut(&mut all.common);
        common.into_iter().for_each(|(name, title)| names.set(name, title));
        for (tenant, added) in tenants {
            let own = all.tenants.entry(tenant.clone()).or_default();
            own.added.clone_from(added);
            own.follow(&all.common);
        }
        all
    }

    /// The same with more capabilities, or other titles, for a tenant or for all. Parents must be there or among them. What is common and what a
    /// tenant has beside it are counted apart, so that neither takes room from the other. Errors: those of [`Taxonomy::insert`].
    pub(crate) fn with<'a>(
        mut self,
        tenant: Option<&str>,
        more: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        // In order, a parent comes before its children.
        let more: BTreeMap<&str, &str> = more.into_iter().collect();
        match tenant {
            None => {
                let common = Arc::make_mut(&mut self.common);
                for (name, title) in more {
                    common.insert(name, title)?;
                }
                self.tenants.values_mut().for_each(|own| own.follow(&self.common));
            }
            Some(tenant) => {
                let mut own = self.tenants.remove(tenant).unwrap_or_default();
                own.follow(&self.common);
                for (name, title) in more {
                    let whole = Arc::make_mut(&mut own.whole);
                    whole.put(name, title)?;
                    if self.common.title(name) == Some(title) {
                        own.added.remove(name);
                    } else {
                        own.added.insert(name.to_owned(), title.to_owned());
                    }
                }
                if own.added.len() > MAX_CAPABILITIES {
                    return Err(too_many(own.added.len()));
                }
                if !own.added.is_empty() {
                    self.tenants.insert(tenant.to_owned(), own);
                }
            }
        }
        Ok(self)
    }

    /// The same where these names, which agents of this tenant use, can be named. They were free while there was no
    /// taxonomy at all, and must not become wrong because there is one now, however many they are. Their titles are the names.
    pub(crate) fn adopting<'a>(
        mut self,
        tenant: Option<&str>,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let known = self.of(tenant).clone();
        let missing: Vec<&str> =
            names.into_iter().flat_map(Taxonomy::ancestors).filter(|name| !known.contains(name)).collect();
        match tenant {
            _ if missing.is_empty() => {}
            None => {
                let common = Arc::make_mut(&mut self.common);
                missing.into_iter().for_each(|name| common.set(name, name));
                self.tenants.values_mut().for_each(|own| own.follow(&self.common));
            }
            Some(tenant) => {
                let own = self.tenants.entry(tenant.to_owned()).or_default();
                own.added.extend(missing.into_iter().map(|name| (name.to_owned(), name.to_owned())));
                own.follow(&self.common);
            }
        }
        self
    }
}

impl Own {
    /// Joins what is the tenant's to what is common now.
    fn follow(&mut self, common: &Taxonomy) {
        let mut whole = common.clone();
        self.added.iter().for_each(|(name, title)| whole.set(name, title));
        self.whole = Arc::new(whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::Code;

    fn names(taxonomies: &Taxonomies, tenant: Option<&str>) -> Vec<(String, String)> {
        taxonomies.of(tenant).iter().map(|(n, t)| (n.to_owned(), t.to_owned())).collect()
    }

    #[test]
    fn what_a_tenant_adds_is_its_own() {
        let all = Taxonomies::default().with(None, [("a", "A"), ("a.b", "B")]).unwrap();
        let all = all.with(Some("x"), [("a", "mine"), ("a.c", "C"), ("a.b", "B")]).unwrap();
        let common = [("a".to_owned(), "A".to_owned()), ("a.b".to_owned(), "B".to_owned())];
        assert_eq!(names(&all, None), common);
        assert_eq!(names(&all, Some("y")), common);
        assert_eq!(all.of(Some("x")).title("a"), Some("mine"));
        assert_eq!(all.of(Some("x")).len(), 3);
        assert_eq!(all.added().map(|(_, added)| added.len()).collect::<Vec<_>>(), [2]);
        let error = all.clone().with(Some("x"), [("z.z", "")]).unwrap_err();
        assert_eq!(error.code(), Code::UnknownCapability);
        // What becomes common later reaches the tenant too, and does not replace its own titles.
        let all = all.with(None, [("a", "A2"), ("d", "D")]).unwrap();
        assert_eq!(all.of(Some("x")).title("a"), Some("mine"));
        assert!(all.of(Some("x")).contains("d") && all.of(Some("y")).title("a") == Some("A2"));
    }

    #[test]
    fn names_in_use_stay_possible() {
        let all = Taxonomies::default().with(Some("x"), [("a", "A")]).unwrap();
        let all = all.adopting(Some("x"), ["u.v", "a"]);
        assert_eq!(all.of(Some("x")).title("u.v"), Some("u.v"));
        assert!(all.of(Some("x")).contains("u") && all.of(None).is_empty());
    }

    /// Nor does it keep the administrator from anything, however much it is.
    #[test]
    fn a_full_tenant_leaves_room_for_all() {
        let many: Vec<String> = (0..MAX_CAPABILITIES).map(|i| format!("c{i}")).collect();
        let pairs = || many.iter().map(|name| (name.as_str(), "t"));
        let all = Taxonomies::default().with(Some("x"), pairs()).unwrap();
        assert_eq!(all.clone().with(Some("x"), [("more", "")]).unwrap_err().code(), Code::TooLarge);
        let all = all.with(None, [("common", "C")]).unwrap();
        assert_eq!(all.of(Some("x")).len(), MAX_CAPABILITIES + 1);
        let stored: BTreeMap<_, _> = all.added().map(|(t, added)| (t.to_owned(), added.clone())).collect();
        let again = Taxonomies::stored(all.of(None).iter(), &stored);
        assert_eq!(
            (names(&again, None), names(&again, Some("x"))),
            (names(&all, None), names(&all, Some("x")))
        );
        // Names that are in use when a taxonomy comes are no reason to refuse it.
        let used = all.adopting(Some("y"), many.iter().map(String::as_str).chain(["one.more"]));
        assert_eq!(used.of(Some("y")).len(), MAX_CAPABILITIES + 3);
    }
}

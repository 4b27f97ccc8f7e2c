//! Reads that several workers may need: each is made once, by whoever comes first.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::OnceCell;

use super::apart;
use decision::snapshot::Read;

/// Answers by what they are about.
pub(crate) struct Once<K, T>(RefCell<BTreeMap<K, Cell<T>>>);

type Cell<T> = Rc<OnceCell<Rc<Read<T>>>>;

impl<K, T> Default for Once<K, T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: Ord + Clone, T: Clone> Once<K, T> {
    /// The answer, which may be another's.
    pub(crate) async fn read(&self, key: &K, read: impl AsyncFnOnce() -> Read<T>) -> Rc<Read<T>> {
        let cell = self.0.borrow_mut().entry(key.clone()).or_default().clone();
        cell.get_or_init(async || Rc::new(apart(read()).await)).await.clone()
    }

    /// Whether somebody reads it, or has read it.
    pub(super) fn is_begun(&self, key: &K) -> bool {
        self.0.borrow().contains_key(key)
    }

    /// All answers.
    pub(super) fn into_read(self) -> BTreeMap<K, Read<T>> {
        let cells = self.0.into_inner().into_iter();
        let read = cells.filter_map(|(key, cell)| {
            let read = Rc::try_unwrap(cell).ok()?.into_inner()?;
            Some((key, Rc::unwrap_or_clone(read)))
        });
        read.collect()
    }
}

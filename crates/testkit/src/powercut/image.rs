//! The content of one file: sparse pages, shared between the many versions that a simulation makes of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::Error;

/// What a device writes as a whole.
pub(super) const SECTOR: usize = 512;
/// What a filesystem allocates as a whole.
pub(super) const PAGE: usize = 4096;

/// A file's bytes. Pages never written are zeros and take no memory; cloning shares all pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    len: usize,
    pages: BTreeMap<usize, Arc<[u8; PAGE]>>,
}

impl Image {
    /// A file with these bytes; pages of zeros count as never written.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let mut image = Self { len: bytes.len(), pages: BTreeMap::new() };
        for (page, chunk) in bytes.chunks(PAGE).enumerate() {
            if chunk.iter().any(|byte| *byte != 0) {
                image.write(page * PAGE, chunk);
            }
        }
        image
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether the filesystem has given the page a place: overwriting it is then done in place, sector by sector.
    pub(super) fn has_page(&self, page: usize) -> bool {
        self.pages.contains_key(&page)
    }

    /// Overwrites from `at` on, extending the file where needed.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        let mut rest = bytes;
        let mut position = at;
        while !rest.is_empty() {
            let (page, within) = (position / PAGE, position % PAGE);
            let (now, later) = rest.split_at(rest.len().min(PAGE - within));
            let target = self.pages.entry(page).or_insert_with(|| Arc::new([0; PAGE]));
            if let Some(slot) = Arc::make_mut(target).get_mut(within..within + now.len()) {
                slot.copy_from_slice(now);
            }
            position += now.len();
            rest = later;
        }
        if position > at {
            self.len = self.len.max(position);
        }
    }

    /// Cuts off, or extends with zeros.
    pub(super) fn resize(&mut self, len: usize) {
        if len < self.len {
            self.pages.split_off(&len.div_ceil(PAGE));
            if let Some(last) = self.pages.get_mut(&(len / PAGE)) {
                Arc::make_mut(last).iter_mut().skip(len % PAGE).for_each(|byte| *byte = 0);
            }
        }
        self.len = len;
    }

    /// All bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        for (page, content) in &self.pages {
            let start = (page * PAGE).min(self.len);
            let end = (start + PAGE).min(self.len);
            if let Some(slot) = bytes.get_mut(start..end) {
                slot.iter_mut().zip(content.iter()).for_each(|(byte, new)| *byte = *new);
            }
        }
        bytes
    }

    /// Writes the file, leaving holes where there are no pages.
    pub(super) fn save(&self, path: &Path) -> Result<(), Error> {
        let file = File::create(path).map_err(Error::io("create", path))?;
        for (start, run) in self.runs() {
            file.write_all_at(&run, start as u64).map_err(Error::io("write", path))?;
        }
        file.set_len(self.len as u64).map_err(Error::io("resize", path))
    }

    /// Neighbouring pages joined, so that saving takes few calls.
    fn runs(&self) -> Vec<(usize, Vec<u8>)> {
        let mut runs: Vec<(usize, Vec<u8>)> = Vec::new();
        for (page, content) in &self.pages {
            let start = page * PAGE;
            match runs.last_mut() {
                Some((begin, run)) if *begin + run.len() == start => run.extend_from_slice(content.as_slice()),
                Some(_) | None => runs.push((start, content.to_vec())),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::powercut::Random;

    #[test]
    fn behaves_like_a_vector() {
        for seed in 0..50 {
            let mut random = Random::new(seed);
            let (mut image, mut model) = (Image::default(), Vec::new());
            for _ in 0..30 {
                if random.one_in(4) {
                    let len = random.below(6 * PAGE);
                    image.resize(len);
                    model.resize(len, 0);
                } else {
                    let len = random.below(2 * PAGE);
                    let (at, bytes) = (random.below(5 * PAGE), random.bytes(len));
                    image.write(at, &bytes);
                    if !bytes.is_empty() {
                        model.resize(model.len().max(at + bytes.len()), 0);
                    }
                    model.iter_mut().skip(at).zip(&bytes).for_each(|(byte, new)| *byte = *new);
                }
                assert_eq!(image.to_bytes(), model, "seed {seed}");
            }
            let folder = tempfile::tempdir().unwrap();
            image.save(&folder.path().join("file")).unwrap();
            assert_eq!(std::fs::read(folder.path().join("file")).unwrap(), model);
            assert_eq!(Image::from_bytes(&model).to_bytes(), model);
        }
    }
}

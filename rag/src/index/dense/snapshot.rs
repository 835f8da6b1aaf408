//! How does a dense index lie in a file?
//!
//! A header, then the sections in the order of [`Layout`], each at a multiple of 64 bytes, then the BLAKE3 hash of
//! all that. Numbers are little-endian. A file is written beside its place, synced and renamed, so that it is old
//! or new, never half; what does not hash as it says is not used.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use memmap2::Mmap;
use quorate_core::{Code, Error, Result, files};

use super::arena::{Arena, MAX_ROW, NONE, Segment, Store};
use super::graph::{Graph, extend_levels, level};
use super::hnsw::{HnswConfig, Precision};

const MAGIC: [u8; 8] = *b"qrtdense";
/// Raised by every change of the format; a reader knows exactly one.
const VERSION: u32 = 1;
/// Reads differently on a machine of the other byte order.
const ORDER: u32 = 0x0102_0304;
/// Sections begin at multiples of it: the size of a cache line.
const ALIGN: usize = 64;
const HASH: usize = 32;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: u32,
    order: u32,
    stamp: u64,
    seed: u64,
    dim: u32,
    nodes: u32,
    /// 0 without a graph, 1 with one.
    graph: u32,
    linked: u32,
    m: u32,
    ef_construction: u32,
    ef_search: u32,
    precision: u32,
    max_pending: u32,
    top: u32,
    entry: u32,
    upper: u32,
    /// The length of the longest vector.
    longest: f32,
    reserved: [u32; 11],
}

/// What a file holds.
pub(super) struct Snapshot {
    pub(super) arena: Arena,
    pub(super) graph: Option<(Graph, HnswConfig)>,
    pub(super) stamp: u64,
}

/// Where the sections begin and how many elements each has.
struct Layout {
    rows: (usize, usize),
    live: (usize, usize),
    scales: (usize, usize),
    codes: (usize, usize),
    level0: (usize, usize),
    upper: (usize, usize),
    twins: (usize, usize),
    vectors: (usize, usize),
    /// Where the hash begins.
    end: usize,
}

impl Layout {
    /// `None` when the sizes overflow.
    fn of(header: &Header) -> Option<Layout> {
        let mut at = size_of::<Header>();
        let mut section = |len: Option<usize>, width: usize| {
            let (start, len) = (at, len?);
            at = len.checked_mul(width)?.checked_add(start)?.checked_next_multiple_of(ALIGN)?;
            Some((start, len))
        };
        let (nodes, linked) = (header.nodes as usize, header.linked as usize);
        let components = nodes.checked_mul(header.dim as usize);
        Some(Layout {
            rows: section(Some(nodes), 4)?,
            live: section(Some(nodes.div_ceil(64)), 8)?,
            scales: section(Some(nodes), 4)?,
            codes: section(components, 1)?,
            level0: section(linked.checked_mul(2)?.checked_mul(header.m as usize), 4)?,
            upper: section((header.upper as usize).checked_mul(header.m as usize), 4)?,
            twins: section(Some(linked), 4)?,
            vectors: section(components, 4)?,
            end: at,
        })
    }
}

/// Writes a snapshot, replacing what is at `path`. Errors: `io`, `disk_full`, `permission_denied`, `not_found`.
pub(super) fn write(
    path: &Path,
    arena: &Arena,
    graph: Option<(&Graph, &HnswConfig)>,
    stamp: u64,
) -> Result<()> {
    let mut header = Header {
        magic: MAGIC,
        version: VERSION,
        order: ORDER,
        stamp,
        dim: arena.dim() as u32,
        nodes: arena.len(),
        longest: arena.longest(),
        ..Header::zeroed()
    };
    if let Some((graph, config)) = graph {
        header.graph = 1;
        header.seed = graph.seed;
        header.linked = graph.len();
        header.m = graph.m;
        header.ef_construction = config.ef_construction as u32;
        header.ef_search = config.ef_search as u32;
        header.precision = match config.precision {
            Precision::Int8 => 0,
            Precision::F32 => 1,
        };
        header.max_pending = config.max_pending as u32;
        header.top = u32::from(graph.top);
        header.entry = graph.entry;
        header.upper = graph.upper_at.last().copied().unwrap_or(0);
    }
    let view = arena.view();
    let mut live = vec![0u64; (arena.len() as usize).div_ceil(64)];
    for node in (0..arena.len()).filter(|&node| arena.live().contains(view.row(node))) {
        live[node as usize / 64] |= 1 << (node % 64);
    }
    let parts = arena.segments();
    files::replace(path, true, |file| {
        let mut out =
            Hashed { inner: BufWriter::with_capacity(1 << 20, file), hash: blake3::Hasher::new(), at: 0 };
        out.put(bytemuck::bytes_of(&header))?;
        out.section(parts.iter().map(|s| bytemuck::cast_slice(s.rows.as_slice())))?;
        out.section(std::iter::once(bytemuck::cast_slice(&live[..])))?;
        out.section(parts.iter().map(|s| bytemuck::cast_slice(s.scales.as_slice())))?;
        out.section(parts.iter().map(|s| bytemuck::cast_slice(s.codes.as_slice())))?;
        for words in graph.iter().flat_map(|(graph, _)| [&graph.level0, &graph.upper, &graph.twins]) {
            out.section(std::iter::once(bytemuck::cast_slice(words.as_slice())))?;
        }
        out.section(parts.iter().map(|s| bytemuck::cast_slice(s.vectors.as_slice())))?;
        let hash = out.hash.finalize();
        out.inner.write_all(hash.as_bytes())?;
        out.inner.flush()
    })
}

/// A writer that hashes what passes through it.
struct Hashed<W> {
    inner: W,
    hash: blake3::Hasher,
    at: usize,
}

impl<W: Write> Hashed<W> {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.at += bytes.len();
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }

    fn section<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>) -> std::io::Result<()> {
        for part in parts {
            self.put(part)?;
        }
        self.put(&[0; ALIGN][..self.at.next_multiple_of(ALIGN) - self.at])
    }
}

/// Reads a snapshot. Errors: `corrupt`, `format_version`, `not_found`, `io`, `permission_denied`.
pub(super) fn read(path: &Path) -> Result<Snapshot> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    // SAFETY: a snapshot is replaced as a whole by a rename and never written in place, so that the mapped bytes
    // do not change while they are borrowed.
    let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, e))?;
    parse(&Arc::new(map)).map_err(|e| e.context(path.display()))
}

/// Reads a snapshot that is in memory.
#[cfg(test)]
pub(super) fn read_bytes(bytes: &[u8]) -> Result<Snapshot> {
    let failed = |e: std::io::Error| Error::new(Code::Io, e.to_string());
    let mut map = memmap2::MmapMut::map_anon(bytes.len()).map_err(failed)?;
    map.copy_from_slice(bytes);
    parse(&Arc::new(map.make_read_only().map_err(failed)?))
}

/// Takes a mapped snapshot apart. Errors: `corrupt`, `format_version`.
fn parse(map: &Arc<Mmap>) -> Result<Snapshot> {
    let corrupt = |what: &str| Error::new(Code::Corrupt, what.to_string());
    let header: Header = match map.get(..size_of::<Header>()) {
        Some(bytes) => bytemuck::pod_read_unaligned(bytes),
        None => return Err(corrupt("too short for a snapshot")),
    };
    if header.magic != MAGIC {
        return Err(corrupt("not a snapshot of a dense index"));
    }
    if header.version != VERSION || header.order != ORDER {
        return Err(Error::new(
            Code::FormatVersion,
            format!("a snapshot of format {}; this release reads format {VERSION}", header.version),
        ));
    }
    let layout = Layout::of(&header).filter(|layout| layout.end.checked_add(HASH) == Some(map.len()));
    let Some(layout) = layout else {
        return Err(corrupt("the length is not what the header says"));
    };
    let mut hash = blake3::Hasher::new();
    hash.update(&map[..layout.end]);
    if hash.finalize().as_bytes()[..] != map[layout.end..] {
        return Err(corrupt("the checksum does not fit"));
    }
    if header.nodes > MAX_ROW || super::check_dim(header.dim as usize).is_err() {
        return Err(corrupt("a header out of range"));
    }

    let segment = Segment {
        rows: resident(map, layout.rows)?,
        scales: resident(map, layout.scales)?,
        codes: resident(map, layout.codes)?,
        vectors: Store::mapped(map, layout.vectors.0, layout.vectors.1)?,
    };
    let live: Store<u64> = Store::mapped(map, layout.live.0, layout.live.1)?;
    let arena = Arena::from_segment(header.dim as usize, segment, live.as_slice(), header.longest)?;
    if header.graph == 0 {
        return Ok(Snapshot { arena, graph: None, stamp: header.stamp });
    }

    let config = HnswConfig {
        m: header.m as usize,
        ef_construction: header.ef_construction as usize,
        ef_search: header.ef_search as usize,
        precision: match header.precision {
            0 => Precision::Int8,
            1 => Precision::F32,
            _ => return Err(corrupt("a precision that is not known")),
        },
        seed: header.seed,
        max_pending: header.max_pending as usize,
    };
    config.validate().map_err(|e| corrupt(e.message()))?;
    if header.linked > header.nodes {
        return Err(corrupt("more linked nodes than nodes"));
    }
    let mut graph = Graph::new(header.m, header.seed);
    extend_levels(&mut graph.upper_at, header.linked, header.m, header.seed);
    graph.entry = header.entry;
    graph.top = header.top.min(u32::from(u8::MAX)) as u8;
    graph.level0 = resident(map, layout.level0)?;
    graph.upper = resident(map, layout.upper)?;
    graph.twins = resident(map, layout.twins)?;
    check(&graph, header.upper).map_err(corrupt)?;
    Ok(Snapshot { arena, graph: Some((graph, config)), stamp: header.stamp })
}

/// A section, copied into memory.
fn resident<T: Pod>(map: &Arc<Mmap>, section: (usize, usize)) -> Result<Store<T>> {
    let mapped = Store::mapped(map, section.0, section.1)?;
    Ok(Store::compact(std::iter::once(mapped.as_slice())))
}

/// Whether every link leads to a node of its level, and chains of twins end.
fn check(graph: &Graph, upper: u32) -> Result<(), &'static str> {
    let linked = graph.len();
    if graph.upper_at.last() != Some(&upper) {
        return Err("levels that the seed does not give");
    }
    if linked == 0 {
        return if graph.entry == NONE && graph.top == 0 {
            Ok(())
        } else {
            Err("an entry point without nodes")
        };
    }
    let level_of = |node: u32| level(node, graph.m, graph.seed);
    if graph.entry >= linked || level_of(graph.entry) != graph.top {
        return Err("an entry point that is not there");
    }
    let m = graph.m as usize;
    let fits = |links: &[u32], level: u8| {
        links
            .iter()
            .all(|&other| other == NONE || (other < linked && (level == 0 || level_of(other) >= level)))
    };
    if !fits(graph.level0.as_slice(), 0) {
        return Err("a link to nowhere");
    }
    for node in 0..linked {
        let (start, end) =
            (graph.upper_at[node as usize] as usize, graph.upper_at[node as usize + 1] as usize);
        for (i, links) in graph.upper.as_slice()[start * m..end * m].chunks(m).enumerate() {
            if !fits(links, i as u8 + 1) {
                return Err("a link to nowhere");
            }
        }
    }
    // Each twin hangs on one node, and all are met from the ends of chains: then no chain runs in a circle.
    let twins = graph.twins.as_slice();
    let mut hangs = vec![false; linked as usize];
    for &twin in twins.iter().filter(|&&twin| twin != NONE) {
        match hangs.get_mut(twin as usize) {
            Some(flag) if !*flag => *flag = true,
            _ => return Err("a twin of nothing"),
        }
    }
    let mut met = 0;
    for head in (0..linked).filter(|&node| !hangs[node as usize]) {
        let mut node = head;
        while node != NONE {
            met += 1;
            node = twins[node as usize];
        }
    }
    if met == linked { Ok(()) } else { Err("a chain of twins without an end") }
}

"""How are documents kept and found?"""

from __future__ import annotations

import itertools
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from . import _quorate
from ._errors import InvalidInput, QuorateError
from ._documents import Documents
from ._hits import Hits
from ._lexical import Lexical, plain
from ._progress import Progress, telling
from ._context import Context, Tokenizer
from ._quorate import CrossEncoder, Embedder, Hit
from ._record import Record, record
from ._report import Report, to_json
from ._rows import Rows
from ._tables import documents as _documents

if TYPE_CHECKING:
    import datetime

    from .aio import AsyncKnowledgeBase

Where = str | Mapping[str, Any] | None
Rerank: TypeAlias = str | CrossEncoder | Callable[[str, Hits], Any] | None
Ocr: TypeAlias = Callable[[bytes], str | Awaitable[str]] | None


class Table(Protocol):
    """Anything with the Arrow PyCapsule interface: a DataFrame of pandas or polars, a table of pyarrow."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The stream of its record batches."""


Given: TypeAlias = Iterable[Mapping[str, Any]] | Table
Files = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclass(frozen=True, repr=False)
class WriteReport(Report):
    """What a write did."""

    added: int
    """New documents."""
    replaced: int
    """Documents that were there before."""
    unchanged: int
    """With ``upsert`` and of files: documents that are stored as they were given already, and were not written again."""
    deleted: int
    """Documents that their file no longer holds."""
    chunks: int
    """Pieces that were stored."""
    skipped: list[Record]
    """With ``on_error="skip"``: ``index``, ``id``, ``code`` and ``message`` of each that was left out."""
    version: int
    """The version that holds the write."""


@dataclass(frozen=True, repr=False)
class StreamStep(WriteReport):
    """One step of :meth:`KnowledgeBase.add_stream`: a batch that is stored and searchable."""

    done: int
    """Documents that were given so far, those left out included."""


@dataclass(frozen=True, repr=False)
class SyncReport(Report):
    """What :meth:`KnowledgeBase.sync_files` did, in documents."""

    added: int
    """New documents."""
    updated: int
    """Documents that say something else than before."""
    unchanged: int
    """Documents that were not written again."""
    deleted: int
    """Documents whose file is gone, or no longer holds them."""
    chunks: int
    """Pieces that were stored."""
    skipped: list[Record]
    """``index``, ``id``, ``code`` and ``message`` of each file or row that could not be read or stored."""
    version: int
    """The version that says what the files say."""


class Version(int):
    """The number of a version, which also knows when it was made.

    >>> version = Version(3, 1_700_000_000_000)
    >>> version, version.version, version.timestamp.year
    (3, 3, 2023)
    """

    _milliseconds: int

    def __new__(cls, number: int, milliseconds: int) -> Version:
        self = super().__new__(cls, number)
        self._milliseconds = milliseconds
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Version, (int(self), self._milliseconds)

    @property
    def version(self) -> int:
        """The number itself."""
        return int(self)

    def to_dict(self) -> dict[str, Any]:
        """The number and the time, which is text in RFC 3339."""
        return {"version": int(self), "timestamp": self.timestamp.isoformat(timespec="milliseconds")}

    def to_json(self, *, indent: int | None = None) -> str:
        """The same as JSON text."""
        return to_json(self.to_dict(), indent)

    @property
    def timestamp(self) -> datetime.datetime:
        """When the version was made, in UTC."""
        import datetime

        start = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return start + datetime.timedelta(milliseconds=self._milliseconds)


class Versions(Rows[Version]):
    """Versions, oldest first: a list, and a table with the columns ``version`` and ``timestamp``."""

    __slots__ = ()
    _name = "versions"
    _kinds = {"version": "int", "timestamp": "time"}

    def _row(self, one: Version) -> dict[str, Any]:
        return {"version": int(one), "timestamp": one.timestamp}

    def to_dict(self) -> dict[str, Any]:
        """The versions, each as a dict."""
        return {self._name: [one.to_dict() for one in self]}


class Facets(Rows[tuple[Any, int]]):
    """Values, each with the number of documents that have it: a list of pairs, and a table with the columns ``value`` and ``count``."""

    __slots__ = ()
    _name = "facets"
    _kinds = {"value": "any", "count": "int"}

    def _row(self, one: tuple[Any, int]) -> dict[str, Any]:
        return {"value": one[0], "count": one[1]}

    def to_dict(self) -> dict[str, Any]:
        """The values, each as a dict with its ``count``."""
        return {self._name: [self._row(one) for one in self]}


@dataclass(frozen=True, repr=False)
class CopyReport(Report):
    """What :meth:`KnowledgeBase.backup` or :meth:`KnowledgeBase.reembed` copied."""

    tenants: int
    """Tenants with a name that have documents or had some."""
    documents: int
    """Documents of all tenants."""
    chunks: int
    """Their pieces."""


@dataclass(frozen=True, repr=False)
class VerifyReport(Report):
    """What :meth:`KnowledgeBase.verify` examined, and what is not as it was written. True where nothing is wrong."""

    ok: bool
    """Whether no problem was found."""
    tenants: int
    """Tenants that were examined, the one without a name included."""
    documents: int
    """Documents that are there."""
    chunks: int
    """Their pieces."""
    versions: int
    """Versions that can be shown."""
    problems: list[Record]
    """``tenant`` (None for the one without a name), ``part``, ``code`` and ``message`` of each; at most 100 a tenant. ``part`` is
    ``documents`` (some may be lost), ``version`` (a past one cannot be shown) or ``index`` (built again at the next opening; nothing
    is lost)."""

    def __bool__(self) -> bool:
        return self.ok


@dataclass(frozen=True)
class _Settings:
    embedder: Any
    tenant: Any
    read_only: bool
    durability: str
    language: str | None
    chunking: Any
    keep_versions: int
    cache_folder: Any
    storage_options: Any
    progress: Any


@dataclass(frozen=True, slots=True)
class _Files:
    on_error: str
    progress: Any
    max_bytes: int | None
    timeout: float | None
    csv: Any
    root: Any
    metadata: Any
    follow_links: bool
    batch: int
    delete_missing: bool = True
    encoding: str | None = None
    main_text: bool = False
    ocr: Any = None


@dataclass(frozen=True, slots=True)
class _Search:
    k: int
    offset: int
    mode: str
    fusion: str
    alpha: float
    rrf_k: float
    strict: bool
    group_by: str | None
    min_score: float | None
    rerank: Any = None
    rerank_depth: int = 50
    blend: float = 1.0
    mmr_lambda: float = 0.5
    min_relevance: float | None = None
    recall: float | None = None
    ef_search: int | None = None
    exact: bool = False
    depth: int | None = None
    lexical: Any = None
    bm25: Any = None
    title_boost: float | None = None


@dataclass(frozen=True, slots=True)
class _Form:
    max_tokens: int
    order: str
    neighbours: int
    dedupe: float
    tokenizer: Any


def open(
    place: str | os.PathLike[str] | None,
    *,
    embedder: Embedder | str | os.PathLike[str] | None = None,
    tenant: str | None = None,
    read_only: bool = False,
    durability: str = "power_cut",
    language: str | None = None,
    chunking: str | Mapping[str, Any] | None = None,
    keep_versions: int = 100,
    cache_folder: str | os.PathLike[str] | None = None,
    storage_options: Mapping[str, str] | None = None,
    progress: Progress = False,
) -> KnowledgeBase:
    """Opens the knowledge base in a folder; creates it when it is absent. It is a context manager too.

    ``place``: a folder, or None for an empty knowledge base in memory, which is gone with its last handle
    (:meth:`KnowledgeBase.backup` keeps a copy). An ``s3://`` URI needs a build with object stores; the package is built without
    (code ``unsupported``).
    ``embedder``: None for what it was made with (the built-in model for a new one), a model folder, a hub id, an
    :class:`Embedder` or a :class:`RemoteEmbedder`. ``tenant``: whose documents the handle sees. ``read_only``: any number of
    processes may read while one writes. ``durability``: ``power_cut`` (every write is synchronised to the disk) or
    ``process`` (a power cut may lose the last seconds). ``language`` of stemmer and stop words, fixed when the knowledge base
    is made; English by default. ``chunking``: a strategy (``auto``, ``fixed``, ``sentence``, ``recursive``, ``markdown``,
    ``semantic``, ``code``) or a dict with any of ``strategy``, ``max_tokens`` (tokens), ``overlap`` (tokens),
    ``breakpoint_percentile``, ``contextual_headers``, ``late``. ``keep_versions``: how many past versions :meth:`at` can
    show. ``cache_folder`` and ``storage_options`` are for object stores alone. ``progress``: True, or a function of (done, total), told
    how many pieces are indexed where indexes have to be built again.

    Codes: ``locked``, ``embedder_mismatch``, ``not_found`` (read-only and absent), ``corrupt``, ``format_version``, ``io``,
    ``permission_denied``, ``invalid_argument``, ``unsupported``, and those of the embedder.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with open(folder.name) as kb:
    ...     report = kb.add([{"id": "a", "text": "Metformin lowers glucose.", "metadata": {"year": 2024}}])
    ...     [hit.doc_id for hit in kb.search("blood sugar", where="year >= 2020")]
    ['a']
    >>> folder.cleanup()
    """
    with telling(progress, "pieces") as tell:
        settings = _Settings(
            embedder, tenant, read_only, durability, language, chunking, keep_versions, cache_folder,
            dict(storage_options) if isinstance(storage_options, Mapping) else storage_options, tell,
        )
        native = _quorate.open(place, settings)
        return KnowledgeBase(native, "in memory" if place is None else os.fspath(place), embedder)


def _check_at_least_one(number: Any, what: str) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InvalidInput("invalid_argument", f"{what} is {number!r:.60}; 1 or more is expected")


def _step(report: WriteReport, done: int, given: int) -> StreamStep:
    """What a batch did, after ``done`` documents."""
    found = {field.name: getattr(report, field.name) for field in fields(WriteReport)}
    found["skipped"] = [Record({**one, "index": one["index"] + done}) for one in report.skipped]
    return StreamStep(**found, done=done + given)


def _written(found: dict[str, Any]) -> WriteReport:
    return WriteReport._of(_recorded(found))


def _recorded(found: dict[str, Any]) -> dict[str, Any]:
    found["skipped"] = [record(one) for one in found["skipped"]]
    return found


def _listed(given: Any) -> Any:
    """The items of an iterator, which can be read once only; what is no list of items stays as it is."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        return given
    return list(given)


class KnowledgeBase:
    """Documents that are kept and found; made by :func:`quorate.open`.

    Every call releases the GIL while it works, and has an asyncio twin under :attr:`aio`. All threads may share one handle.

    ``where`` is a filter, as text such as ``"year >= 2020 AND kind IN ('label', 'guideline')"`` or as a dict such as
    ``{"year": {"$gte": 2020}, "kind": {"$in": ["label", "guideline"]}}``. Fields are ``id``, ``title``, ``source`` and members of the
    metadata, nested ones by dotted path; a name with other characters than letters, digits, ``_ . - $`` stands in backticks.

    * Text: ``= != < <= > >=``, ``IN (...)``, ``BETWEEN a AND b``, ``LIKE`` (``%`` any run, ``_`` one character, ``\\`` escapes),
      ``CONTAINS`` (a list has the member), ``IS NULL``, ``IS NOT NULL``, ``NOT``, ``AND``, ``OR``, parentheses. Texts stand in
      single quotes, a quote in them twice: ``'O''Hara'``.
    * Dict: a value for equality (None: not there), or ``$eq $ne $gt $gte $lt $lte $in $nin $contains $exists $not``; ``$and``, ``$or``
      and ``$not`` of conditions.
    * As in SQL, a comparison with a field that a document lacks is neither true nor false: neither ``year = 2020`` nor ``NOT year =
      2020`` matches it, ``year IS NULL`` does.
    * Dates and times are texts in RFC 3339, such as ``'2024-05-01'`` or ``'2024-05-01T08:30:00Z'``, and compare as instants; without
      a zone they are UTC.
    """

    def __init__(self, native: _quorate.KnowledgeBase, place: str, embedder: Any = None) -> None:
        self._native = native
        self._place = place
        self._embedder = embedder if isinstance(embedder, Embedder) else None

    def add(
        self,
        documents: Given,
        *,
        on_error: str = "stop",
        progress: Progress = False,
        vectors: Any = None,
    ) -> WriteReport:
        """Adds documents: all or none.

        ``documents``: dicts ``{"id", "text", "title", "source", "metadata"}``, or a table (pandas, polars, pyarrow, anything with
        the Arrow PyCapsule interface) with these columns, whose other columns become metadata. Metadata are strings, numbers,
        booleans, lists and dicts; dates and times are kept in RFC 3339 (one without a zone is UTC).

        ``on_error="skip"`` stores all but those that cannot be stored, which the report lists. ``progress``: True for a bar of
        tqdm, or a function of (done, total), in documents; what it raises ends the write with nothing stored. ``vectors``: the
        embedding of each document as a whole, float32 of shape (documents, dim); or a document has its own under ``vector``.
        A document may be cut by the caller: ``chunks`` of ``{"start", "end", "headings", "vector"}``, in code points.

        Codes: ``duplicate_id``, ``invalid_document``, ``invalid_text``, ``invalid_shape``, ``not_finite``, ``too_large``,
        ``read_only``, ``closed``, ``locked``, and those of the embedder and of files.
        """
        return self._write(documents, False, on_error, progress, vectors)

    def upsert(
        self,
        documents: Given,
        *,
        on_error: str = "stop",
        progress: Progress = False,
        vectors: Any = None,
    ) -> WriteReport:
        """Adds documents and replaces those whose id exists; what is unchanged is not written again. Otherwise as :meth:`add`."""
        return self._write(documents, True, on_error, progress, vectors)

    def _write(
        self, documents: Given, replace: bool, on_error: str, progress: Progress, vectors: Any
    ) -> WriteReport:
        with telling(progress, "documents") as tell:
            found = self._native.write(_documents(documents), replace, on_error, vectors, tell)
        return _written(found)

    def add_stream(
        self, documents: Given, *, batch_size: int = 256, upsert: bool = False, on_error: str = "stop"
    ) -> Iterator[StreamStep]:
        """Adds documents as they come, batch by batch: each is atomic, durable and searchable when its step is yielded.

        ``upsert``: replace documents whose id exists. Under :attr:`aio` the documents may be an async iterable too. Codes as :meth:`add`.

        >>> import quorate
        >>> kb = quorate.open(None)
        >>> [step.done for step in kb.add_stream(({"id": f"d{i}", "text": "x"} for i in range(5)), batch_size=2)]
        [2, 4, 5]
        """
        _check_at_least_one(batch_size, "batch_size")
        rows, done = iter(_documents(documents)), 0
        while batch := list(itertools.islice(rows, batch_size)):
            step = _step(self._write(batch, upsert, on_error, False, None), done, len(batch))
            yield step
            done = step.done

    def search_stream(self, queries: Iterable[str], **keywords: Any) -> Iterator[Hits]:
        """The hits of queries as they come, in their order. Keywords as in :meth:`search`.

        Under :attr:`aio` the queries may be an async iterable too, and at most ``concurrency`` (16) searches run ahead.
        """
        for query in queries:
            yield self.search(query, **keywords)

    def add_files(
        self,
        patterns: Files,
        *,
        on_error: str = "stop",
        progress: Progress = False,
        max_bytes: int | None = None,
        timeout: float | None = None,
        csv: Mapping[str, Any] | None = None,
        root: str | os.PathLike[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        follow_links: bool = False,
        batch: int = 1000,
        encoding: str | None = None,
        main_text: bool = False,
        ocr: Ocr = None,
    ) -> WriteReport:
        """Adds the documents of files. Each pattern is a file, a folder (all below it) or a glob.

        Read are .txt .md .markdown .html .htm .xhtml .pdf .docx .docm .xlsx .xlsm .pptx .pptm .ppsx .epub .rtf .eml .csv .tsv
        .jsonl .ndjson. A PDF gives a document for each page (id ``PATH#page=N``), a workbook one for each sheet
        (``PATH#sheet=NAME``), a presentation for each slide (``PATH#slide=N``), a book for each chapter (``PATH#chapter=N``), an
        e-mail itself and its attachments (``PATH#attachment=N``), a CSV or JSONL file one for each row (its own ``id``, or ``PATH#row=N``), any other file one (id
        ``PATH``). ``PATH`` is absolute, however it was typed; with ``root``, a folder, it begins below that. Metadata hold what
        the file tells: ``file_type``, ``language``, ``encoding``, ``modified``, ``page``, ``author``, front matter, other columns and the
        like; ``metadata`` is added to that of every document.

        There is a commit after each ``batch`` documents (or about 64 MiB), so memory is bounded by a batch and the largest file,
        and what was stored before an error, a cancellation or the end of the process stays. Adding the same files again goes on:
        what is stored as its file says is ``unchanged``, whatever its time of change; what says something else is
        ``duplicate_id``, and :meth:`upsert_files` replaces it.

        ``csv``: how tables are read, a dict with any of ``delimiter`` and ``quote`` (one character), ``header`` (True, False, or
        the names of the columns), ``id``, ``title`` (names of columns), ``text`` (a name or several), ``metadata`` (the names
        that are kept; all others by default). Without it a comma divides, or what the first line has most of; a column called
        ``id``, ``_id`` or ``doc_id`` is the id, ``title``, ``name`` or ``headline`` the title, ``text``, ``content``, ``body``,
        ``abstract``, ``passage``, ``document`` or ``description`` the text; such synonyms of ``title`` and ``text`` stay in the
        metadata too. A column has one type, decided over all rows: int, float or bool, or str where a number would lose
        something of what is written (``008.45``). The names apply to JSONL too.

        ``encoding`` is that of text files (plain, Markdown, HTML, CSV, JSONL): a label of the Encoding Standard such as
        ``"shift_jis"``. Without it the byte order mark, what the file declares, or what its bytes look like decides, and the
        metadata's ``encoding`` says which was chosen. ``main_text=True`` leaves out the menus, banners and footers of web pages.

        ``ocr`` reads pages of PDFs that have no text of their own: a function that is given the image of a page, the bytes of a
        PNG file of 300 dots per inch, and gives its text; it may be a coroutine function. What it raises ends the call. Without it
        such pages have no text. With pytesseract: ``ocr=lambda png: pytesseract.image_to_string(Image.open(io.BytesIO(png)))``.

        ``on_error="skip"`` lists files and rows that cannot be read or stored; files of other kinds in a folder or glob are
        listed in any case (code ``unsupported``), and so are symbolic links out of it unless ``follow_links``. ``progress``: as
        in :meth:`add`, in files. ``max_bytes`` (256 MiB) and ``timeout`` (60 seconds) bound the reading of one file.

        Codes: ``not_found``, ``permission_denied``, ``invalid_argument`` (a malformed glob), ``load_failed``, ``unsupported``,
        ``too_large``, ``timeout``, and as :meth:`add`.
        """
        settings = _Files(
            on_error, None, max_bytes, timeout, csv, root, metadata, follow_links, batch, encoding=encoding, main_text=main_text, ocr=ocr
        )
        return WriteReport._of(self._write_files(patterns, "add", settings, progress))

    def upsert_files(
        self,
        patterns: Files,
        *,
        on_error: str = "stop",
        progress: Progress = False,
        max_bytes: int | None = None,
        timeout: float | None = None,
        csv: Mapping[str, Any] | None = None,
        root: str | os.PathLike[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        follow_links: bool = False,
        batch: int = 1000,
        encoding: str | None = None,
        main_text: bool = False,
        ocr: Ocr = None,
    ) -> WriteReport:
        """Adds the documents of files and replaces those whose id exists; what is unchanged is not written again.

        Rows and pages that such a file no longer holds are deleted, unless a row of it could not be read or stored. Documents of
        files that are gone as a whole stay; :meth:`sync_files` deletes them. Otherwise as :meth:`add_files`.
        """
        settings = _Files(
            on_error, None, max_bytes, timeout, csv, root, metadata, follow_links, batch, encoding=encoding, main_text=main_text, ocr=ocr
        )
        return WriteReport._of(self._write_files(patterns, "upsert", settings, progress))

    def sync_files(
        self,
        patterns: Files,
        *,
        root: str | os.PathLike[str] | None = None,
        delete_missing: bool = True,
        metadata: Mapping[str, Any] | None = None,
        on_error: str = "stop",
        progress: Progress = False,
        max_bytes: int | None = None,
        timeout: float | None = None,
        csv: Mapping[str, Any] | None = None,
        follow_links: bool = False,
        batch: int = 1000,
        encoding: str | None = None,
        main_text: bool = False,
        ocr: Ocr = None,
    ) -> SyncReport:
        """Makes the knowledge base say what files say: ``.added .updated .unchanged .deleted .skipped``.

        As :meth:`upsert_files`; and with ``delete_missing`` documents whose files are gone are deleted, as far as the patterns
        mean those files. A pattern may name a file that is gone, or a folder or glob without any left. Documents that did not
        come from files are left alone.
        """
        settings = _Files(
            on_error, None, max_bytes, timeout, csv, root, metadata, follow_links, batch, delete_missing, encoding, main_text, ocr
        )
        return SyncReport._of(self._write_files(patterns, "sync", settings, progress))

    def _write_files(self, patterns: Any, task: str, settings: _Files, progress: Progress) -> dict[str, Any]:
        if isinstance(patterns, (str, os.PathLike)):
            patterns = [patterns]
        listed = _listed(patterns)
        with telling(progress, "files") as tell:
            found = self._native.write_files(listed, task, replace(settings, progress=tell))
        return _recorded(found)

    def update_metadata(self, id: str, metadata: Mapping[str, Any]) -> None:
        """Gives a document other metadata, without embedding it again. Codes: ``unknown_id``, ``invalid_document``."""
        self._native.update_metadata(id, metadata)

    def delete(self, ids: Iterable[str] | None = None, *, where: Where = None, all: bool = False) -> int:
        """Deletes documents by id or by filter, and says how many there were.

        A filter that says nothing, as ``{}``, is refused unless ``all`` says that every document is meant;
        ``delete(all=True)`` deletes every document of the tenant.

        Codes: ``filter_syntax``, ``filter_type``, ``invalid_argument``, ``read_only``, ``closed``.
        """
        if not isinstance(all, bool):
            raise InvalidInput("invalid_argument", f"all is of type {type(all).__name__}; True or False is expected")
        if ids is not None and where is None and not all:
            return self._native.delete_ids(ids)
        if ids is None:
            return self._native.delete_where(where, all)
        raise InvalidInput("invalid_argument", "delete takes either ids or where")

    def search(
        self,
        query: str,
        *,
        vector: Any = None,
        k: int = 10,
        mode: str = "hybrid",
        where: Where = None,
        fusion: str = "convex",
        alpha: float = 0.5,
        rrf_k: float = 60.0,
        rerank: Rerank = None,
        rerank_depth: int = 50,
        blend: float = 1.0,
        mmr_lambda: float = 0.5,
        group_by: str | None = None,
        offset: int = 0,
        min_score: float | None = None,
        strict: bool = False,
        min_relevance: float | None = None,
        recall: float | None = None,
        ef_search: int | None = None,
        exact: bool = False,
        depth: int | None = None,
        lexical: Lexical | Mapping[str, Any] | None = None,
        bm25: tuple[float, float] | None = None,
        title_boost: float | None = None,
    ) -> Hits:
        """The ``k`` best pieces for a query, best first.

        ``mode``: ``hybrid``, ``dense`` or ``lexical``. ``fusion`` of the two legs: ``convex`` (each score divided by the best of its
        leg; ``alpha`` is the weight of the dense one), ``rrf`` or ``dbsf``. ``group_by="doc"``: the best piece of each document. ``strict``: a filter that names a
        field of no document is an error. ``vector``: the query's embedding, of shape (dim,), when the caller has it.

        ``min_relevance``: only hits that are about the question with at least this probability, 0 to 1, so that nothing may be
        found; a hit's ``relevance`` tells it. ``min_score``: only hits with at least this score, on the scale of the mode.
        ``lexical``: which words must, may and must not occur (a :class:`Lexical`), instead of the words of the query. ``bm25``:
        (k1, b), by default (1.2, 0.75). ``title_boost``: what a word in the title counts on top. ``recall``: the share of the
        nearest vectors that graphs are to find on the whole (``ef_search`` sets their width instead); ``exact``: compare all
        vectors. ``depth``: how many candidates each leg brings to begin with, at least 100. The order of the first hits does not
        depend on how many are asked for; equal documents have equal scores, the older first.

        ``rerank`` puts the best ``rerank_depth`` candidates in a better order, block by block: ``"mmr"`` (``mmr_lambda`` is the weight of
        relevance against variety, 0 to 1), ``"late"`` (MaxSim over the embedder's token vectors), a :class:`CrossEncoder`, or
        a function of (query, hits) that gives one score a hit. ``blend``: the weight of its score against the one before.

        Codes: ``empty_input`` (a query without text), ``filter_syntax``, ``filter_type``, ``filter_field``, ``query_syntax``,
        ``invalid_argument``, ``invalid_shape`` and ``not_finite`` (scores of a function), ``unsupported`` (``late`` without token
        vectors, an embedder that cannot be reached), ``closed``.
        """
        keywords = _Search(
            k, offset, mode, fusion, alpha, rrf_k, strict, group_by, min_score, rerank, rerank_depth, blend, mmr_lambda,
            min_relevance, recall, ef_search, exact, depth, plain(lexical), bm25, title_boost,
        )
        return Hits(self._native.search(query, where, keywords, vector), query)

    def search_batch(
        self,
        queries: Iterable[str],
        *,
        k: int = 10,
        mode: str = "hybrid",
        where: Where = None,
        fusion: str = "convex",
        alpha: float = 0.5,
        rrf_k: float = 60.0,
        rerank: Rerank = None,
        rerank_depth: int = 50,
        blend: float = 1.0,
        mmr_lambda: float = 0.5,
        group_by: str | None = None,
        offset: int = 0,
        min_score: float | None = None,
        strict: bool = False,
        min_relevance: float | None = None,
        recall: float | None = None,
        ef_search: int | None = None,
        exact: bool = False,
        depth: int | None = None,
        lexical: Lexical | Mapping[str, Any] | None = None,
        bm25: tuple[float, float] | None = None,
        title_boost: float | None = None,
    ) -> list[Hits]:
        """The hits of several queries, in parallel. Keywords as in :meth:`search`."""
        keywords = _Search(
            k, offset, mode, fusion, alpha, rrf_k, strict, group_by, min_score, rerank, rerank_depth, blend, mmr_lambda,
            min_relevance, recall, ef_search, exact, depth, plain(lexical), bm25, title_boost,
        )
        queries = _listed(queries)
        found = self._native.search_batch(queries, where, keywords)
        return [Hits(hits, query) for hits, query in zip(found, queries, strict=True)]

    def search_many(
        self,
        queries: Iterable[str],
        *,
        k: int = 10,
        mode: str = "hybrid",
        where: Where = None,
        fusion: str = "convex",
        alpha: float = 0.5,
        rrf_k: float = 60.0,
        rerank: Rerank = None,
        rerank_depth: int = 50,
        blend: float = 1.0,
        mmr_lambda: float = 0.5,
        group_by: str | None = None,
        offset: int = 0,
        min_score: float | None = None,
        strict: bool = False,
        min_relevance: float | None = None,
        recall: float | None = None,
        ef_search: int | None = None,
        exact: bool = False,
        depth: int | None = None,
        lexical: Lexical | Mapping[str, Any] | None = None,
        bm25: tuple[float, float] | None = None,
        title_boost: float | None = None,
    ) -> Hits:
        """The best pieces for one question in several wordings, the question itself first.

        The hits of all wordings are fused by reciprocal rank (Cormack, Clarke and Buettcher 2009); a reranker reads the first.
        Keywords as in :meth:`search`.
        """
        keywords = _Search(
            k, offset, mode, fusion, alpha, rrf_k, strict, group_by, min_score, rerank, rerank_depth, blend, mmr_lambda,
            min_relevance, recall, ef_search, exact, depth, plain(lexical), bm25, title_boost,
        )
        queries = _listed(queries)
        return Hits(self._native.search_many(queries, where, keywords), next(iter(queries), None))

    def search_vector(
        self,
        vector: Any,
        *,
        k: int = 10,
        where: Where = None,
        rerank: str | None = None,
        rerank_depth: int = 50,
        blend: float = 1.0,
        mmr_lambda: float = 0.5,
        group_by: str | None = None,
        offset: int = 0,
        min_score: float | None = None,
        strict: bool = False,
        min_relevance: float | None = None,
        recall: float | None = None,
        ef_search: int | None = None,
        exact: bool = False,
        depth: int | None = None,
    ) -> Hits:
        """The pieces whose vectors are most similar to this one, of shape (dim,). ``rerank`` may be ``"mmr"``.

        Codes as in :meth:`search`, and ``invalid_shape``, ``not_finite``.
        """
        if rerank is not None and not (isinstance(rerank, str) and rerank == "mmr"):
            raise InvalidInput("invalid_argument", "rerank reads the text of the query; search_vector has 'mmr' alone")
        keywords = _Search(
            k, offset, "dense", "convex", 0.5, 60.0, strict, group_by, min_score, rerank, rerank_depth, blend, mmr_lambda,
            min_relevance, recall, ef_search, exact, depth,
        )
        return Hits(self._native.search_vector(vector, where, keywords))

    def context(
        self,
        question: str,
        *,
        max_tokens: int = 2000,
        k: int = 20,
        mode: str = "hybrid",
        where: Where = None,
        fusion: str = "convex",
        alpha: float = 0.5,
        rrf_k: float = 60.0,
        rerank: Rerank = None,
        rerank_depth: int = 50,
        blend: float = 1.0,
        mmr_lambda: float = 0.5,
        group_by: str | None = None,
        min_score: float | None = None,
        strict: bool = False,
        min_relevance: float | None = None,
        recall: float | None = None,
        ef_search: int | None = None,
        exact: bool = False,
        depth: int | None = None,
        lexical: Lexical | Mapping[str, Any] | None = None,
        bm25: tuple[float, float] | None = None,
        title_boost: float | None = None,
        order: str = "score",
        neighbours: int = 1,
        dedupe: float = 0.85,
        tokenizer: Tokenizer = None,
    ) -> Context:
        """One text for a language model, within a budget of tokens, with citations that resolve.

        The best ``k`` pieces are taken while they fit into ``max_tokens``, widened by up to ``neighbours`` pieces around each,
        and stand under numbered markers and titles. ``order``: ``score``, ``document`` (in the order of their documents) or
        ``lost_in_the_middle`` (the best at both ends). ``dedupe``: pieces that repeat a better one are left out from this
        similarity of their words on, 0 to 1. ``tokenizer``: what counts tokens: None for the embedder of the knowledge base, an
        :class:`Embedder`, or a function from text to number. Other keywords, and codes, as in :meth:`search`.

        ``document_text[citation.start:citation.end]`` is the cited passage.
        """
        keywords = _Search(
            k, 0, mode, fusion, alpha, rrf_k, strict, group_by, min_score, rerank, rerank_depth, blend, mmr_lambda,
            min_relevance, recall, ef_search, exact, depth, plain(lexical), bm25, title_boost,
        )
        form = _Form(max_tokens, order, neighbours, dedupe, tokenizer)
        return Context._of(self._native.context(question, where, keywords, form))

    def context_of(
        self,
        hits: Iterable[Hit],
        *,
        max_tokens: int = 2000,
        order: str = "score",
        neighbours: int = 1,
        dedupe: float = 0.85,
        tokenizer: Tokenizer = None,
    ) -> Context:
        """The same of hits that were found already, the best first."""
        form = _Form(max_tokens, order, neighbours, dedupe, tokenizer)
        return Context._of(self._native.context_of(hits, form))

    def get(self, id: str, *, chunks: bool = False) -> Record:
        """The document with this id: ``id``, ``text``, ``title``, ``source``, ``metadata``, as members and attributes.

        With ``chunks`` also its pieces: ``start`` and ``end`` in code points, ``headings``, ``vector``. Codes: ``unknown_id``,
        ``closed``.
        """
        found: Record = self._native.get(id, chunks)
        return found

    def ids(self, where: Where = None) -> list[str]:
        """The ids of the documents that match, oldest first; all without a filter. Codes as of :meth:`count`."""
        return self._native.ids(where)

    def count(self, where: Where = None) -> int:
        """How many documents match; all of them without a filter. Codes: ``filter_syntax``, ``filter_type``, ``closed``."""
        return self._native.count(where)

    def facets(self, field: str, *, where: Where = None, limit: int = 20) -> Facets:
        """The values of a field with the number of documents that have each: ``[(2024, 310), (2023, 287), ...]``, a table too.

        Those of most documents come first, of equally many the lesser first. Each member of a list is a value.
        Codes: ``filter_syntax``, ``filter_type``, ``invalid_argument``, ``closed``.
        """
        return Facets(self._native.facets(field, where, limit))

    def min_max(self, field: str, *, where: Where = None) -> tuple[Any, Any] | None:
        """The least and the greatest value of a field, members of lists included; None where no document has one.

        Texts that are all times compare as such. Codes: ``filter_type`` (numbers and texts in one field, bools),
        ``filter_syntax``, ``closed``.
        """
        return self._native.min_max(field, where)

    def documents(
        self, *, where: Where = None, sort: str | None = None, limit: int = 100, after: str | None = None
    ) -> Documents:
        """A page of documents. ``sort``: a field, with ``-`` before it for the greatest first; by id without one.

        Documents without a value of the field come last, equal ones by their ids. ``after``: ``next`` of the page before.

        >>> import quorate, tempfile
        >>> with tempfile.TemporaryDirectory() as folder, quorate.open(folder) as kb:
        ...     report = kb.add([{"id": f"d{i}", "text": "x", "metadata": {"year": 2020 + i}} for i in range(3)])
        ...     page = kb.documents(sort="-year", limit=2)
        ...     [document.id for document in page], [document.id for document in kb.documents(sort="-year", after=page.next)]
        (['d2', 'd1'], ['d0'])

        Codes: ``filter_syntax``, ``filter_type``, ``invalid_argument``, ``closed``.
        """
        found, next = self._native.documents(where, sort, limit, after)
        return Documents(found, next)

    def stats(self) -> Record:
        """What the knowledge base holds: documents, chunks, version, embedder, dim, language, segments, sizes in bytes."""
        found: Record = self._native.stats()
        return found

    def versions(self) -> Versions:
        """The versions that :meth:`at` can show, oldest first: numbers that know their ``timestamp``; a table too."""
        return Versions(Version(number, milliseconds) for number, milliseconds in self._native.versions())

    def at(self, version: int) -> KnowledgeBase:
        """The knowledge base as it was at a version, for reading. Codes: ``unknown_id``, ``closed``."""
        return KnowledgeBase(self._native.at(version), self._place, self._embedder)

    def tenant(self, name: str) -> KnowledgeBase:
        """A handle that can neither see nor write anything but this tenant's documents.

        It shares the opening: closing one closes all. Codes: ``tenant_violation`` when this handle is another tenant's
        already, ``invalid_argument``, ``closed``.
        """
        return KnowledgeBase(self._native.tenant(name), self._place, self._embedder)

    def tenants(self) -> list[str]:
        """The names of the tenants that have written something, sorted; not the one without a name.

        Codes: ``tenant_violation`` on a tenant's handle, ``closed``.
        """
        return self._native.tenants()

    def drop_tenant(self, name: str) -> None:
        """Removes a tenant: its documents with all their versions, and its indexes. It is durable on return and cannot be undone.

        Handles of the tenant are empty from then on and may write again; readers in other processes see it when they refresh.
        Codes: ``not_found`` when there is no such tenant, ``tenant_violation`` on a tenant's handle, ``read_only``, ``closed``,
        and those of files, also when the tenant is gone and some of its files could not be removed from the disk: the message
        says so, and the next opening for writing removes them.
        """
        self._native.drop_tenant(name)

    def backup(self, to: str | os.PathLike[str], *, progress: Progress = False) -> CopyReport:
        """Copies the knowledge base, all tenants and versions, to a place where nothing is, while it is used.

        The copy has what was acknowledged when the call began, and is there whole when it returns, or not at all; it is opened like
        any other. From memory, from and to an object store, and of a past version (:meth:`at`), it has no past versions.
        ``progress``: as in :meth:`add`, in files or documents. Codes: ``invalid_argument`` when something is there,
        ``tenant_violation`` on a tenant's handle, ``closed``, ``corrupt``, ``version_conflict`` (try again), and those of files.
        """
        with telling(progress, "files") as tell:
            return CopyReport._of(self._native.backup(to, tell))

    def verify(self, *, progress: Progress = False) -> VerifyReport:
        """Reads everything that is stored and compares it with its checksums, and the indexes with the documents.

        What is wrong is listed, not raised; nothing is changed. All tenants, on a tenant's handle its own. It takes the time to read
        all files, and the memory of the documents and vectors of the largest tenant. ``progress`` is told in tenants.
        Codes: ``closed``, ``io``, ``permission_denied``.
        """
        with telling(progress, "tenants") as tell:
            found = self._native.verify(tell)
        found["problems"] = [record(one) for one in found["problems"]]
        return VerifyReport._of(found)

    def reembed(
        self,
        to: str | os.PathLike[str],
        *,
        embedder: Embedder | str | os.PathLike[str],
        keep_chunks: bool = False,
        progress: Progress = False,
    ) -> CopyReport:
        """Makes a knowledge base at a place where nothing is, with all documents embedded by another model.

        This one stays as it is and can be used meanwhile; what is written to it after the call began may be missing there. Texts are
        cut anew, as the settings and the length of the model say; ``keep_chunks=True`` leaves the pieces as they are, those that
        callers have cut above all. ``progress``: as in :meth:`add`. Codes: ``invalid_argument`` when something is there,
        ``tenant_violation`` on a tenant's handle, ``closed``, those of the embedder and of files.
        """
        with telling(progress, "documents") as tell:
            return CopyReport._of(self._native.reembed(to, embedder, keep_chunks, tell))

    @property
    def tenant_name(self) -> str | None:
        """The tenant whose documents the handle sees; None for those without one."""
        return self._native.tenant_name

    @property
    def embedder(self) -> Embedder:
        """The model that embeds. Codes: ``unsupported`` when nothing says how to open it, and those of opening."""
        if self._embedder is None:
            self._embedder = self._native.embedder()
        return self._embedder

    @property
    def aio(self) -> AsyncKnowledgeBase:
        """The same calls for asyncio: ``await kb.aio.search("...")``. Cancelling the task drops the work."""
        from .aio import AsyncKnowledgeBase

        return AsyncKnowledgeBase(self)

    def refresh(self) -> bool:
        """Takes over what other processes wrote since; says whether there was anything."""
        return self._native.refresh()

    def compact(self) -> None:
        """Rewrites what many small writes have left, and forgets past versions."""
        self._native.compact()

    def close(self) -> None:
        """Gives the writer's lock back. Further calls fail with code ``closed``; closing again does nothing."""
        self._native.close()

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return True

    def __contains__(self, id: object) -> bool:
        if not isinstance(id, str):
            return False
        try:
            self._native.get(id, False)
        except QuorateError as error:
            if error.code == "unknown_id":
                return False
            raise
        return True

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> KnowledgeBase:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aio.close()

    def _about(self) -> dict[str, Any]:
        about: dict[str, Any] = {"place": self._place, "tenant": self.tenant_name}
        try:
            return {**about, **self.stats()}
        except QuorateError as error:
            return {**about, "state": error.code}

    def __repr__(self) -> str:
        about = self._about()
        shown = [repr(self._place)]
        shown += [f"{name}={about[name]!r}" for name in ("tenant", "documents", "version", "state") if about.get(name) is not None]
        return f"KnowledgeBase({', '.join(shown)})"

    def _repr_html_(self) -> str:
        from . import _html

        return _html.fields(self._about(), "KnowledgeBase")

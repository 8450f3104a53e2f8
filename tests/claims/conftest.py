"""Every claim judged once a session: by no record, and by the committed ones."""

import pytest

from bbatch import claims
from bbatch.claims.claim import Evidence


@pytest.fixture(scope="session")
def empty() -> Evidence:
    return claims.evidence({})


@pytest.fixture(scope="session")
def nothing_run(empty):
    """Every claim, judged without a single record."""
    return {j.claim.id: j for j in claims.judged(empty)}


@pytest.fixture(scope="session")
def committed() -> Evidence:
    return claims.evidence()


@pytest.fixture(scope="session")
def real(committed):
    """Every claim, judged by the committed records."""
    return {j.claim.id: j for j in claims.judged(committed)}

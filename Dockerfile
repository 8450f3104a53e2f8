# The book in a container: `docker build -t bbatch .` builds it, `docker run -p 8000:8000 bbatch` serves the pages at
# http://localhost:8000. For the notebooks: `docker run -p 8888:8888 bbatch .venv/bin/jupyter lab --ip=0.0.0.0 --allow-root`.
FROM python:3.11-slim-bookworm
RUN apt-get update \
 && apt-get install --yes --no-install-recommends chromium git make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /bbatch
# The environment first: it changes seldom, and its layer is then kept.
COPY Makefile requirements.txt pyproject.toml ./
COPY bbatch/__init__.py bbatch/
RUN make .venv/.installed
COPY . .
RUN make book
EXPOSE 8000
CMD [".venv/bin/python", "-m", "http.server", "--directory", "_build/html", "8000"]

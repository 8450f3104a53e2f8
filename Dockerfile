# The book in a container: `docker build -t bbatch .` builds it, `docker run -p 8000:8000 bbatch` serves the pages at
# http://localhost:8000. For the notebooks: `docker run -p 8888:8888 bbatch make lab FLAGS="--ip=0.0.0.0 --allow-root"`.
FROM python:3.11-slim-bookworm
RUN apt-get update \
 && apt-get install --yes --no-install-recommends chromium git make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /bbatch
# The requirements first: they change seldom, and their layer is then kept.
COPY Makefile requirements.txt ./
RUN make CPU=1 .venv/.requirements
COPY . .
RUN make book
EXPOSE 8000
CMD [".venv/bin/python", "-m", "http.server", "--directory", "_build/html", "8000"]

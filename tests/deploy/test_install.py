"""The script that installs all of it has short parts, and agrees with the settings, the units, nginx and the wheel.

`python -m tests.deploy.installed` runs it in an empty system.
"""

import re
import subprocess
import tomllib

from tests.deploy.units import FOLDER, services
from tests.docs.reading import ROOT, text_of

SCRIPT = text_of("deploy/install.sh")
HOME = "/srv/jobsite"


def test_a_person_can_read_it_in_a_minute() -> None:
    assert len(SCRIPT.splitlines()) <= 80
    assert max(map(len, SCRIPT.splitlines())) <= 120
    parts = re.findall(r'^echo "(\d)\. ', SCRIPT, flags=re.M)
    assert parts == [str(number) for number in range(1, 8)]


def test_without_a_wheel_it_says_what_to_give() -> None:
    for arguments in ([], ["no-such.whl"]):
        command = ["sh", str(ROOT / "deploy/install.sh"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "deploy/install.sh WHEEL [HOST_NAME]" in done.stdout
        assert done.stderr == ""


def test_the_settings_that_it_writes_are_there() -> None:
    (written,) = re.findall(r"cat > \$home/.env << END\n(.*?)\nEND\n", SCRIPT, flags=re.S)
    names = set(re.findall(r"^(\w+)=", written, flags=re.M))
    assert {"SECRET_KEY", "DATABASE_URL", "ALLOWED_HOSTS"} <= names
    assert names <= set(re.findall(r'env\.\w+\("(\w+)"', text_of("jobsite/settings.py")))
    assert "install -m 0640 -o root -g jobsite /dev/null $home/.env\n" in SCRIPT


def test_it_installs_where_the_units_start() -> None:
    assert f"home={HOME} " in SCRIPT
    for service in services().values():
        assert (service.user, service.directory) == ("jobsite", HOME)
        assert service.command[0] == f"{HOME}/.venv/bin/python"
    for unit in FOLDER.iterdir():
        if "[Install]" in unit.read_text(encoding="utf-8"):
            assert re.search(rf"^systemctl enable .*\b{unit.name}\b", SCRIPT, flags=re.M)
            assert re.search(rf"^systemctl restart .*\b{unit.name}\b", SCRIPT, flags=re.M)


def test_what_the_server_may_write_is_made() -> None:
    (made,) = re.findall(r"^install -d -m 0750 -o jobsite -g jobsite (.*)$", SCRIPT, flags=re.M)
    folders = set(made.replace("$home", HOME).split())
    (writable,) = re.findall(r"^ReadWritePaths=(.*)$", text_of("deploy/systemd/jobsite-web.service"), flags=re.M)
    assert set(writable.split()) == folders


def test_the_hashes_are_those_of_the_wheel() -> None:
    (path,) = re.findall(r'--require-hashes -r "\$release/wheel/(.*?)"', SCRIPT)
    included = tomllib.loads(text_of("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["requirements.txt"] == path
    assert "--hash=sha256:" in text_of("requirements.txt")


def test_nginx_gets_the_name_of_the_installation() -> None:
    (example,) = re.findall(r'sed "s/(.*?)/\$name/"', SCRIPT)
    assert text_of("deploy/nginx/jobsite.conf").count(example) == 1

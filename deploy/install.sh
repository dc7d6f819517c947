#!/bin/sh
# Install Jobsite on Debian 12 or Ubuntu 24.04, or later ones; with another wheel, upgrade it, or go back. As root:
#
#     deploy/install.sh WHEEL [HOST_NAME]
#
# With DATABASE_URL in the environment it uses that database. Without, PostgreSQL is installed on this machine.
# What it finds it leaves: user, database, settings and nginx's configuration. Each release has an environment of its
# own under /srv/jobsite/releases, and /srv/jobsite/.venv leads to the one that runs.
set -eu
[ "$(id -u)" = 0 ] && [ -f "${1:-}" ] || { sed -n '2,5s/^# \?//p' "$0"; exit 1; }
wheel=$(realpath "$1") name=${2:-$(hostname)} project=$(realpath "$(dirname "$0")/..")
home=/srv/jobsite release=$home/releases/$(sha256sum "$wheel" | cut -c 1-12)
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

echo "1. Packages"
[ -n "${DATABASE_URL:-}" ] || [ -e $home/.env ] || postgresql=postgresql
apt-get update -q
apt-get install -q -y --no-install-recommends python3-venv nginx openssl ${postgresql:-}

echo "2. The user, and directories: only .static and .run are its own"
id jobsite > /dev/null 2>&1 || useradd --system --home-dir $home --shell /usr/sbin/nologin jobsite
install -d -m 0755 $home $home/releases
install -d -m 0750 -o jobsite -g jobsite $home/.static $home/.run

echo "3. The release, in $release"
if [ ! -e "$release/installed" ]; then
    python3 -m venv --clear "$release"
    # Each file must have the hash that is in the wheel's requirements.txt.
    python3 -m zipfile -e "$wheel" "$release/wheel"
    "$release/bin/pip" install -q --require-hashes -r "$release/wheel/jobsite/dev/papers/requirements.txt"
    "$release/bin/pip" install -q --no-deps --no-index "$wheel"
    touch "$release/installed"
fi

echo "4. The database, and the settings"
if [ ! -e $home/.env ]; then
    if [ -z "${DATABASE_URL:-}" ]; then
        # PostgreSQL knows the user of the system who connects to its socket: there is no password.
        # After a run that was interrupted both may be there. If anything else is wrong, migrate fails below.
        runuser -u postgres -- createuser jobsite || true
        runuser -u postgres -- createdb --owner=jobsite jobsite || true
        DATABASE_URL=postgres:///jobsite?host=/run/postgresql
    fi
    install -m 0640 -o root -g jobsite /dev/null $home/.env
    cat > $home/.env << END
SECRET_KEY=$(openssl rand -base64 48)
DATABASE_URL=$DATABASE_URL
ALLOWED_HOSTS=$name,localhost
BEHIND_PROXY=1
# Set it to 1 when nginx has a certificate. Until then passwords and tokens cross the network in clear.
HTTPS=0
END
fi
cd $home
runuser -u jobsite -- "$release/bin/python" -m jobsite migrate
ln -sfn "$release" .venv

echo "5. The command jobsite, which runs as the user jobsite"
cat > /usr/local/bin/jobsite << END
#!/bin/sh
cd $home && exec runuser -u jobsite -- .venv/bin/python -m jobsite "\$@"
END
chmod 0755 /usr/local/bin/jobsite

echo "6. The units"
install -m 0644 "$project"/deploy/systemd/jobsite-* /etc/systemd/system/
systemctl daemon-reload
systemctl enable jobsite-web.service jobsite-sweep.timer jobsite-alerts.service
systemctl restart jobsite-web.service jobsite-sweep.timer jobsite-alerts.service

echo "7. nginx"
if [ ! -e /etc/nginx/conf.d/jobsite.conf ]; then
    sed "s/jobs.example.org/$name/" "$project/deploy/nginx/jobsite.conf" > /etc/nginx/conf.d/jobsite.conf
    systemctl reload-or-restart nginx
fi

echo "Done. Next: jobsite createsuperuser, then http://$name/admin/"

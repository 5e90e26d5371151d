# Completion of arawn for PowerShell. Made from the command tree by `make generate`; do not edit.

Register-ArgumentCompleter -Native -CommandName arawn -ScriptBlock {
    param($word, $ast, $cursor)
    $takers = '-b', '--backend', '-m', '--model', '--config', '--env-file', '-s', '--session', '--system', '-f', '--file', '--fallback', '--max-tokens', '--temperature', '--think', '--timeout', '--schema', '-o', '--output', '--jobs', '-n', '--limit', '--format', '--turn', '--days', '--for', '--allow-keyring', '--by', '--recent', '--since', '--period', '--interval', '--action'
    $steps = '0: chat', '0: ask', '0: compare', '0: batch', '0: sessions', '0:sessions list', '0:sessions show', '0:sessions search', '0:sessions export', '0:sessions rename', '0:sessions delete', '0:sessions branch', '0:sessions purge', '0: config', '0:config show', '0:config get', '0:config set', '0:config unset', '0:config edit', '0:config path', '0:config init', '0:config validate', '0:config schema', '0:config trust', '0: secrets', '0:secrets set', '0:secrets allow', '0:secrets delete', '0:secrets list', '0: usage', '0: budget', '0:budget show', '0:budget set', '0:budget unset', '0: cache', '0:cache stats', '0:cache clear', '0: backends', '0: models', '0: embed', '0: doctor', '0: audit', '0: completions'

    # What stands before the cursor: the command, the number of its words, and the option that waits for a value.
    $words = @($ast.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursor } | ForEach-Object { "$_" })
    $command = ''
    $count = 0
    $option = ''
    foreach ($each in $words) {
        if ($option) { $option = '' }
        elseif ($takers -ccontains $each) { $option = $each }
        elseif ($each -like '-?*') { }
        elseif ($steps -ccontains "${count}:$command $each") { $command = "$command $each".Trim() }
        else { $count++ }
    }
    $head = ''
    if (-not $option -and $word -match '^(--[^=]+)=(.*)$') {
        $option = $Matches[1]
        $head = "$option="
        $word = $Matches[2]
    }

    $found = if ($option) {
        switch -CaseSensitive ($option) {
            '-b' { arawn __complete backends $word 2>$null }
            '--backend' { arawn __complete backends $word 2>$null }
            '-m' { arawn __complete models $word 2>$null }
            '--model' { arawn __complete models $word 2>$null }
            '--think' { 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max' }
            '--format' { 'markdown', 'md', 'json', 'html' }
            '--by' { 'backend', 'model', 'day', 'session', 'role' }
            '--period' { 'day', 'month', 'total' }
            '--action' { 'backend', 'budget', 'config', 'secret', 'trust' }
        }
    }
    elseif ($word -like '-*') {
        '-h', '--help', '--config', '--env-file', '--no-project', '-q', '--quiet', '--debug'
        switch ($command) {
            '' { '-b', '--backend', '-m', '--model', '-V', '--version' }
            'chat' { '-b', '--backend', '-m', '--model', '-c', '--continue', '-s', '--session', '--private', '--system', '-f', '--file', '--cache', '--no-cache', '--fallback' }
            'ask' { '-b', '--backend', '-m', '--model', '-f', '--file', '--system', '--max-tokens', '--temperature', '--think', '--timeout', '--cache', '--no-cache', '--fallback', '-c', '--continue', '-s', '--session', '--no-save', '--private', '--schema', '--json', '--jsonl', '-x', '--extract', '--no-stream', '-o', '--output', '--usage', '--strict', '--plain', '--raw', '--dry-run', '--each', '--jobs' }
            'compare' { '-f', '--file', '--system', '--max-tokens', '--temperature', '--think', '--timeout', '--cache', '--no-cache', '-b', '--backend', '-m', '--model', '--json' }
            'batch' { '-b', '--backend', '-m', '--model', '-o', '--output', '--jobs', '--system', '--max-tokens', '--temperature', '--think', '--timeout', '--cache', '--no-cache', '--fallback', '--json' }
            'sessions' { '-b', '--backend', '-m', '--model' }
            'sessions list' { '-b', '--backend', '-m', '--model', '--json', '-n', '--limit', '--all' }
            'sessions show' { '-b', '--backend', '-m', '--model', '--json' }
            'sessions search' { '-b', '--backend', '-m', '--model', '--json', '-n', '--limit' }
            'sessions export' { '-b', '--backend', '-m', '--model', '--json', '--format', '-o', '--output' }
            'sessions rename' { '-b', '--backend', '-m', '--model', '--json' }
            'sessions delete' { '-b', '--backend', '-m', '--model', '--json' }
            'sessions branch' { '-b', '--backend', '-m', '--model', '--json', '--turn' }
            'sessions purge' { '-b', '--backend', '-m', '--model', '--json', '--days' }
            'config' { '-b', '--backend', '-m', '--model' }
            'config show' { '-b', '--backend', '-m', '--model', '--origin', '--secrets', '--all', '--json' }
            'config get' { '-b', '--backend', '-m', '--model' }
            'config set' { '-b', '--backend', '-m', '--model' }
            'config unset' { '-b', '--backend', '-m', '--model' }
            'config edit' { '-b', '--backend', '-m', '--model' }
            'config path' { '-b', '--backend', '-m', '--model' }
            'config init' { '-b', '--backend', '-m', '--model' }
            'config validate' { '-b', '--backend', '-m', '--model' }
            'config schema' { '-b', '--backend', '-m', '--model' }
            'config trust' { '-b', '--backend', '-m', '--model', '--revoke', '--list' }
            'secrets' { '-b', '--backend', '-m', '--model' }
            'secrets set' { '-b', '--backend', '-m', '--model', '--for', '--allow-keyring' }
            'secrets allow' { '-b', '--backend', '-m', '--model', '--for' }
            'secrets delete' { '-b', '--backend', '-m', '--model' }
            'secrets list' { '-b', '--backend', '-m', '--model', '--json' }
            'usage' { '--by', '--recent', '--since', '--json', '--csv', '-b', '--backend', '-m', '--model' }
            'budget' { '-b', '--backend', '-m', '--model' }
            'budget show' { '-m', '--model', '-b', '--backend', '--json' }
            'budget set' { '-m', '--model', '-b', '--backend', '--period' }
            'budget unset' { '-m', '--model', '-b', '--backend' }
            'cache' { '-b', '--backend', '-m', '--model' }
            'cache stats' { '-b', '--backend', '-m', '--model', '--json' }
            'cache clear' { '-b', '--backend', '-m', '--model', '--json' }
            'backends' { '-b', '--backend', '-m', '--model', '--all', '--offline', '--watch', '--interval', '--json' }
            'models' { '-b', '--backend', '-m', '--model', '--known', '--json' }
            'embed' { '-b', '--backend', '-m', '--model', '-f', '--file', '--lines', '--json' }
            'doctor' { '-b', '--backend', '-m', '--model' }
            'audit' { '-b', '--backend', '-m', '--model', '--since', '--action', '-n', '--limit', '--json' }
            'completions' { '-b', '--backend', '-m', '--model', '--install' }
        }
    }
    else {
        switch -Wildcard ("${command}:$count") {
            ':0' { 'chat', 'ask', 'compare', 'batch', 'sessions', 'config', 'secrets', 'usage', 'budget', 'cache', 'backends', 'models', 'embed', 'doctor', 'audit', 'completions' }
            'sessions:0' { 'list', 'show', 'search', 'export', 'rename', 'delete', 'branch', 'purge' }
            'config:0' { 'show', 'get', 'set', 'unset', 'edit', 'path', 'init', 'validate', 'schema', 'trust' }
            'config show:0' { arawn __complete keys $word 2>$null }
            'config get:0' { arawn __complete keys $word 2>$null }
            'config set:0' { arawn __complete keys $word 2>$null }
            'config unset:0' { arawn __complete keys $word 2>$null }
            'secrets:0' { 'set', 'allow', 'delete', 'list' }
            'secrets set:0' { arawn __complete secrets $word 2>$null }
            'secrets allow:0' { arawn __complete secrets $word 2>$null }
            'secrets delete:0' { arawn __complete secrets $word 2>$null }
            'budget:0' { 'show', 'set', 'unset' }
            'cache:0' { 'stats', 'clear' }
            'backends:0' { 'list', 'check' }
            'backends:1' { arawn __complete backends $word 2>$null }
            'completions:0' { 'bash', 'zsh', 'fish', 'powershell' }
        }
    }
    $found | Where-Object { $_ -and $_.StartsWith($word) } | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new("$head$_", $_, 'ParameterValue', $_)
    }
}

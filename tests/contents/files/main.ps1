Write-Host 'a'

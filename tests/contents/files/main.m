function a()
% a comment
end
